package usage

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// partly is what a walk says of what it could read, with the problem.
func partly(u scan.Usage, problem string) scan.Usage {
	u.Complete, u.Problem = false, problem
	return u
}

// TestUntyped walks a file system whose directories do not tell types.
func TestUntyped(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("no mkfs.ext4")
	}
	image := filepath.Join(t.TempDir(), "image")
	run(t, "truncate", "-s", "16M", image)
	run(t, "mkfs.ext4", "-q", "-O", "^filetype", image)
	root := t.TempDir()
	mount(t, "-o", "loop", image, root)
	for _, name := range []string{"t/f", "t/a/f", "t/a/b/f"} {
		write(t, filepath.Join(root, name), 10_000)
	}
	unix.Sync()
	assert.NilError(t, os.Symlink("/etc", filepath.Join(root, "t/link")))
	want := counted(t, root, "t")
	everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
		assert.DeepEqual(t, walk("t"), want)
	})
}

// TestCorrupt walks a file system with a directory that is no longer readable.
func TestCorrupt(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("debugfs"); err != nil {
		t.Skip("no debugfs")
	}
	content := t.TempDir()
	for _, name := range []string{"t/a/f", "t/broken/f", "t/broken/g", "t/z/f"} {
		write(t, filepath.Join(content, name), 1)
	}
	image := filepath.Join(t.TempDir(), "image")
	run(t, "truncate", "-s", "16M", image)
	// Filled without a mount: what was mounted once may be so still, in a mount
	// namespace that another process made meanwhile, with the good block cached.
	run(t, "mkfs.ext4", "-q", "-b", "1024", "-d", content, image)
	block, err := exec.Command("debugfs", "-R", "blocks /t/broken", image).Output()
	assert.NilError(t, err)
	run(t, "dd", "if=/dev/zero", "of="+image, "bs=1024", "count=1", "conv=notrunc", "seek="+strings.TrimSpace(string(block)))
	root := t.TempDir()
	mount(t, "-o", "loop", image, root)
	everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
		u := walk("t")
		assert.Equal(t, u.Inodes, int64(6))
		assert.Equal(t, u.Problem, "t/broken: bad message")
		assert.Check(t, !u.Complete)
	})
}

func TestNames(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "t/f"), 10_000)
	assert.NilError(t, os.Symlink("t", filepath.Join(root, "link")))
	want := counted(t, root, "t")
	everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
		for _, c := range []struct{ name, problem string }{
			{"none", "none: no such file or directory"},
			{"t/none/x", "t/none/x: no such file or directory"},
			{"t/f/x", "t/f/x: not a directory"},
			{"link/f", "link/f: is a symbolic link"},
			{"", `"": not a name below the root`},
			{"/etc", "/etc: not a name below the root"},
			{"..", "..: not a name below the root"},
			{"t/..", "t/..: not a name below the root"},
			{"t/", "t/: not a name below the root"},
			{"no\nne", `"no\nne": no such file or directory`},
		} {
			assert.DeepEqual(t, walk(c.name), partly(scan.Usage{}, c.problem))
			assert.DeepEqual(t, walk(c.name, "t"), partly(want, c.problem))
			assert.DeepEqual(t, walk("t", c.name), partly(want, c.problem))
		}
	})
}

// TestUnreadable walks as a user who may not read all. Permissions are a
// thread's, hence one goroutine.
func TestUnreadable(t *testing.T) {
	needRoot(t)
	root := t.TempDir()
	for _, name := range []string{"t/a/f", "t/c/closed/f", "t/b/closed/f", "t/d/f", "t/e/listed/f"} {
		write(t, filepath.Join(root, name), 10_000)
	}
	want := counted(t, root, "t")
	hidden := counted(t, root, "t/b/closed/f", "t/c/closed/f", "t/e/listed/f")
	want.Bytes -= hidden.Bytes
	want.Inodes -= hidden.Inodes
	for name, mode := range map[string]os.FileMode{"t/b/closed": 0o700, "t/c/closed": 0o700, "t/e/listed": 0o744} {
		assert.NilError(t, os.Chmod(filepath.Join(root, name), mode))
	}
	want.Newest = counted(t, root, "t").Newest
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			w, fd := open(t, root, m.calls, 1)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			assert.NilError(t, unix.Setfsuid(65534))
			got, err := w.Walk(context.Background(), fd, nil, "t")
			assert.NilError(t, unix.Setfsuid(0))
			assert.NilError(t, err)
			assert.DeepEqual(t, got, partly(want, "t/b/closed: permission denied"))
		})
	}
}

// TestVanishing walks a tree that somebody removes and makes again: never a
// problem.
func TestVanishing(t *testing.T) {
	root := t.TempDir()
	plant := func() error {
		for _, name := range []string{"a/b/c", "a/d", "e/f/g"} {
			if err := os.MkdirAll(filepath.Join(root, "t", name), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(root, "t", name, "file"), nil, 0o644); err != nil {
				return err
			}
		}
		return nil
	}
	mkdir(t, root, "t")
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			err := plant()
			for _, name := range []string{"a", "e"} {
				if err == nil {
					err = os.RemoveAll(filepath.Join(root, "t", name))
				}
			}
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
		seen := map[int64]bool{}
		for deadline := time.Now().Add(time.Minute); len(seen) < 5 && time.Now().Before(deadline); {
			u := walk("t")
			assert.Check(t, u.Complete, u.Problem)
			seen[u.Inodes] = true
		}
		assert.Check(t, len(seen) >= 5, "nothing ever vanished: %v", seen)
	})
	close(stop)
	assert.NilError(t, <-stopped)
}
