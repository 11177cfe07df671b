package unlink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// plantZoo makes a tree with everything in it that a file system takes, and
// its surroundings. It returns what a removal reports.
func plantZoo(t *testing.T, root string) Report {
	t.Helper()
	plant(t, root, "outside/f", "outside/dir/f", "outside/linked", "t/f", "t/a/b/c/f", "t/empty/", "t/closed/f", "t/acl/f")
	in := func(name string) string { return filepath.Join(root, "t", name) }
	odd := strings.Repeat("\xff\n\t\\\x1b'", 43)[:255]
	plant(t, root, "t/"+odd+"/"+odd, "t/-rf", "t/*", "t/ ", "t/...")
	assert.NilError(t, os.Symlink("/etc", in("etc")))
	assert.NilError(t, os.Symlink("../outside", in("up")))
	assert.NilError(t, os.Symlink("nowhere", in("dangling")))
	assert.NilError(t, os.Link(in("f"), in("a/hard")))
	assert.NilError(t, os.Link(filepath.Join(root, "outside/linked"), in("linked")))
	assert.NilError(t, unix.Mknod(in("fifo"), unix.S_IFIFO|0o644, 0))
	assert.NilError(t, unix.Mknod(in("socket"), unix.S_IFSOCK|0o644, 0))
	plant(t, root, "t/sparse") // and its first bytes are on the disk
	assert.NilError(t, os.Truncate(in("sparse"), 1<<40))
	if os.Geteuid() == 0 {
		assert.NilError(t, unix.Mknod(in("whiteout"), unix.S_IFCHR, 0))
		assert.NilError(t, unix.Mknod(in("disk"), unix.S_IFBLK|0o600, int(unix.Mkdev(7, 200))))
		assert.NilError(t, os.Chmod(in("closed"), 0))
		assert.NilError(t, unix.Setxattr(in("acl"), "trusted.overlay.opaque", []byte("y"), 0))
		acl := "\x02\x00\x00\x00" + "\x01\x00\x00\x00\xff\xff\xff\xff" + "\x02\x00\x00\x00\x01\x00\x00\x00" +
			"\x04\x00\x00\x00\xff\xff\xff\xff" + "\x10\x00\x00\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
		assert.NilError(t, unix.Setxattr(in("acl"), "system.posix_acl_default", []byte(acl), 0))
	}
	open(t, in("f")) // while it goes
	r := Report{Bytes: du(t, root, "t") - du(t, root, "outside/linked")}
	for _, name := range append(left(t, in("")), ".") {
		if info, err := os.Lstat(in(name)); err == nil && info.IsDir() {
			r.Dirs++
		} else {
			r.Files++
		}
	}
	return r
}

// du is what du says.
func du(t testing.TB, root, name string) (bytes int64) {
	t.Helper()
	cmd := exec.Command("du", "-s", "--block-size=1", "--", name)
	cmd.Dir = root
	out, err := cmd.Output()
	assert.NilError(t, err)
	_, err = fmt.Sscan(string(out), &bytes)
	assert.NilError(t, err)
	return bytes
}

// TestRemove removes one of everything.
func TestRemove(t *testing.T) {
	everyWay(t, func(t *testing.T, root string, c *Crew) {
		want := plantZoo(t, root)
		outside := manifest(t, filepath.Join(root, "outside"))
		r, err := remove(t, c, root, Options{})
		assert.NilError(t, err)
		assert.DeepEqual(t, r, want)
		assert.DeepEqual(t, manifest(t, filepath.Join(root, "outside")), outside)
		entries, err := os.ReadDir(root)
		assert.NilError(t, err)
		assert.Equal(t, len(entries), 1)
	})
}

// TestProbed removes with what the running kernel has.
func TestProbed(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "t/a/f")
	r, err := remove(t, New(0), root, Options{})
	assert.NilError(t, err)
	assert.Equal(t, r.Files+r.Dirs, int64(3))
}

// TestHardLinks counts an inode with many names once, whoever takes the last.
func TestHardLinks(t *testing.T) {
	everyWay(t, func(t *testing.T, root string, c *Crew) {
		plant(t, root, "t/d0/f0")
		for i := 1; i < 1000; i++ {
			plant(t, root, fmt.Sprintf("t/d%d/", i%20))
			assert.NilError(t, os.Link(filepath.Join(root, "t/d0/f0"), filepath.Join(root, fmt.Sprintf("t/d%d/f%d", i%20, i))))
		}
		bytes := du(t, root, "t")
		r, err := remove(t, c, root, Options{})
		assert.NilError(t, err)
		assert.DeepEqual(t, r, Report{Files: 1000, Dirs: 21, Bytes: bytes})
	})
}

// TestLastLink takes one of two names while another worker is about to take the
// other: whoever comes last counts the inode.
func TestLastLink(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "t/f")
	assert.NilError(t, os.Link(filepath.Join(root, "t/f"), filepath.Join(root, "other")))
	bytes := du(t, root, "t")
	c := New(1)
	c.linked.Lock() // as the other worker does
	met, done := make(chan struct{}), make(chan Report)
	go func() {
		h := &hook{Context: t.Context(), at: 2, do: func() { close(met) }} // the second look is before the file
		r, err := c.Remove(h, open(t, root), "t", Options{Mounted: nothing})
		assert.Check(t, err)
		done <- r
	}()
	<-met
	time.Sleep(20 * time.Millisecond) // it sees two links meanwhile; if it is too slow for that, it sees one
	assert.NilError(t, os.Remove(filepath.Join(root, "other")))
	c.linked.Unlock()
	assert.DeepEqual(t, <-done, Report{Files: 1, Dirs: 1, Bytes: bytes})
}

// TestUncounted counts entries alone.
func TestUncounted(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "t")
	r, err := remove(t, New(1), root, Options{Uncounted: true})
	assert.NilError(t, err)
	assert.DeepEqual(t, r, Report{Files: 1})
}

// TestName takes nothing but an entry of the directory itself, and no link
// unless one is meant.
func TestName(t *testing.T) {
	everyWay(t, func(t *testing.T, root string, c *Crew) {
		plant(t, root, "t/a/f", "f")
		assert.NilError(t, os.Symlink("t", filepath.Join(root, "link")))
		before := manifest(t, root)
		dir := open(t, root)
		for name, want := range map[string]error{
			"": beneath.ErrName, ".": beneath.ErrName, "..": beneath.ErrName, "t/a": beneath.ErrName, "t/": beneath.ErrName,
			"/etc": beneath.ErrName, "t/../t": beneath.ErrName, "a\x00b": beneath.ErrName, "none": unix.ENOENT, "link": ErrSymlink,
		} {
			r, err := c.Remove(context.Background(), dir, name, Options{Mounted: nothing})
			assert.ErrorIs(t, err, want, name)
			assert.DeepEqual(t, r, Report{})
		}
		assert.DeepEqual(t, manifest(t, root), before)
		for _, name := range []string{"link", "f"} {
			_, err := c.Remove(context.Background(), dir, name, Options{Mounted: nothing, Link: true})
			assert.NilError(t, err)
		}
		assert.DeepEqual(t, left(t, root), []string{"t", "t/a", "t/a/f"})
	})
}

// TestAsked removes nothing unless somebody says that nothing is mounted.
func TestAsked(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "t/a/f")
	before := manifest(t, root)
	_, err := New(1).Remove(context.Background(), open(t, root), "t", Options{})
	assert.ErrorIs(t, err, ErrUnasked)
	no := errors.New("mounted in a namespace")
	_, err = remove(t, New(1), root, Options{Mounted: func() error { return no }})
	assert.ErrorIs(t, err, no)
	assert.Error(t, err, "t: mounted in a namespace")
	assert.DeepEqual(t, manifest(t, root), before)
}

// TestAskedAgain stops when something is mounted in the middle of a small or a
// large directory, and says so if it was at the end.
func TestAskedAgain(t *testing.T) {
	for _, files := range []int{300, 5000} {
		root := t.TempDir()
		var names []string
		for i := range files {
			names = append(names, fmt.Sprintf("t/a/f%d", i))
		}
		plant(t, root, names...)
		no := errors.New("mounted in a namespace")
		asked, again := 0, make(chan struct{})
		o := Options{Mounted: func() error {
			if asked++; asked == 1 {
				return nil
			}
			close(again)
			return no
		}}
		wait := &hook{Context: t.Context(), at: 100, do: func() {
			<-again
			time.Sleep(50 * time.Millisecond) // until the answer has come
		}}
		r, err := New(1).Remove(wait, open(t, root), "t", o)
		assert.ErrorIs(t, err, no)
		assert.Check(t, r.Files > 0 && r.Files < int64(files), "%d files", r.Files)
		assert.Equal(t, asked, 2)

		root = t.TempDir()
		plant(t, root, "t/a/f") // gone before it is time to ask
		asked, again = 0, make(chan struct{})
		r, err = New(1).Remove(t.Context(), open(t, root), "t", o)
		assert.ErrorIs(t, err, no)
		assert.Equal(t, r.Dirs, int64(2))
	}
}

// TestUnsafe has neither openat2 nor anything that tells the mount id.
func TestUnsafe(t *testing.T) {
	needRoot(t)
	if root := os.Getenv("UNLINK_ROOT"); root != "" {
		assert.NilError(t, unix.Mount("none", "/proc", "tmpfs", 0, ""))
		_, err := remove(t, crew(beneath.Calls{}, 1), root, Options{})
		assert.ErrorIs(t, err, ErrUnsafe)
		_, err = remove(t, crew(beneath.Calls{}, 1), filepath.Join(root, "file"), Options{})
		assert.ErrorIs(t, err, ErrUnsafe)
		return
	}
	root := t.TempDir()
	plant(t, root, "t/a/f", "t/f", "file/t")
	before := manifest(t, root)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestUnsafe$")
	cmd.Env = append(os.Environ(), "UNLINK_ROOT="+root)
	cmd.SysProcAttr = ownMounts()
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "%s", out)
	assert.Check(t, strings.Contains(string(out), "PASS"), "%s", out)
	assert.DeepEqual(t, manifest(t, root), before)
}
