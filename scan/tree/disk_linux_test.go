package tree

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// modes are the kernels that a Disk must work on: each lacks calls that the
// one before has.
var modes = []struct {
	name  string
	calls beneath.Calls
}{
	{"5.8", beneath.Calls{Openat2: true, Statx: true, MountID: true, Handles: true}},
	{"5.6", beneath.Calls{Openat2: true, Statx: true, Handles: true}},
	{"4.11", beneath.Calls{Statx: true, Handles: true}},
	{"3.10", beneath.Calls{Handles: true}},
	{"3.10 without handles", beneath.Calls{}},
	{"5.6 without statx", beneath.Calls{Openat2: true}},
}

// everyMode runs a test on the directory once for each mode.
func everyMode(t *testing.T, dir string, test func(t *testing.T, d *Disk)) {
	t.Helper()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) { test(t, opened(t, dir, m.calls)) })
	}
}

// opened opens a directory as on a kernel that has these calls.
func opened(t testing.TB, dir string, calls beneath.Calls) *Disk {
	t.Helper()
	d, err := Open(dir)
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, d.Close()) })
	d.calls = calls
	return d
}

// hostile are names that a program trips over that takes names for text.
var hostile = []string{
	"new\nline",
	"\x1b[2J\x1b]0;gone\a",
	"not utf-8 \xff\xfe",
	strings.Repeat("n", 255),
	"-rf",
	"..hidden",
	"...",
	" ",
	"back\\slash",
	"%s*?[",
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("makes mounts, device nodes or other users' files: needs root")
	}
}

// bind mounts a directory or file over another until the test ends.
func bind(t testing.TB, from, over string) {
	t.Helper()
	needRoot(t)
	assert.NilError(t, unix.Mount(from, over, "", unix.MS_BIND, ""))
	t.Cleanup(func() { assert.NilError(t, unix.Unmount(over, unix.MNT_DETACH)) })
}

// asNobody runs a function with the file permissions of user 65534. They are
// the thread's, so the function must not start goroutines that need them.
func asNobody(t testing.TB, do func()) {
	t.Helper()
	needRoot(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	assert.NilError(t, unix.Setfsuid(65534))
	defer func() { assert.NilError(t, unix.Setfsuid(0)) }()
	do()
}

func TestProbe(t *testing.T) {
	d, err := Open(t.TempDir())
	assert.NilError(t, err)
	defer func() { assert.NilError(t, d.Close()) }()
	var uts unix.Utsname
	assert.NilError(t, unix.Uname(&uts))
	if release := unix.ByteSliceToString(uts.Release[:]); strings.HasPrefix(release, "6.") {
		assert.Check(t, d.calls.Openat2 && d.calls.Statx && d.calls.MountID, "%s: %+v", release, d.calls)
	}
}

func TestOpenDir(t *testing.T) {
	real := filepath.Join(t.TempDir(), "data", "docker")
	assert.NilError(t, os.MkdirAll(filepath.Join(real, "overlay2"), 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(real, "overlay2", "file"), []byte("x"), 0o600))
	links := t.TempDir()
	assert.NilError(t, os.Symlink(real, filepath.Join(links, "docker")))
	assert.NilError(t, os.Symlink(filepath.Dir(real), filepath.Join(links, "data")))
	assert.NilError(t, os.Symlink("docker", filepath.Join(links, "chain")))

	for _, dir := range []string{
		real,
		filepath.Join(links, "docker"),
		filepath.Join(links, "data", "docker"),
		filepath.Join(links, "chain"),
		filepath.Join(links, "chain") + "/.",
	} {
		d, err := Open(dir)
		assert.NilError(t, err)
		assert.Equal(t, d.Path(), real)
		content, err := d.ReadFile("overlay2/file", 1)
		assert.NilError(t, err)
		assert.Equal(t, string(content), "x")
		assert.NilError(t, d.Close())
	}

	t.Run("relative", func(t *testing.T) {
		t.Chdir(links)
		d, err := Open("docker")
		assert.NilError(t, err)
		assert.Equal(t, d.Path(), real)
		assert.NilError(t, d.Close())
	})
	t.Run("missing", func(t *testing.T) {
		_, err := Open(filepath.Join(links, "none"))
		assert.ErrorIs(t, err, os.ErrNotExist)
		assert.Error(t, err, filepath.Join(links, "none")+": no such file or directory")
	})
	t.Run("a link to itself", func(t *testing.T) {
		loop := filepath.Join(links, "loop")
		assert.NilError(t, os.Symlink("loop", loop))
		_, err := Open(loop)
		assert.ErrorContains(t, err, loop+": ")
	})
	t.Run("a dangling link", func(t *testing.T) {
		assert.NilError(t, os.Symlink("gone", filepath.Join(links, "dangling")))
		_, err := Open(filepath.Join(links, "dangling"))
		assert.Error(t, err, filepath.Join(links, "gone")+": no such file or directory")
	})
	t.Run("a file", func(t *testing.T) {
		file := filepath.Join(real, "overlay2", "file")
		_, err := Open(file)
		assert.ErrorIs(t, err, unix.ENOTDIR)
		assert.ErrorContains(t, err, file+": ")
	})
}

// TestRootMoved proves that a Disk stays what it was opened as.
func TestRootMoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "root")
	assert.NilError(t, os.Mkdir(dir, 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("mine"), 0o600))
	everyMode(t, dir, func(t *testing.T, d *Disk) {
		assert.NilError(t, os.Rename(dir, dir+".old"))
		defer func() {
			assert.NilError(t, os.RemoveAll(dir))
			assert.NilError(t, os.Rename(dir+".old", dir))
		}()
		assert.NilError(t, os.Mkdir(dir, 0o755))
		assert.NilError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("other"), 0o600))
		content, err := d.ReadFile("file", 10)
		assert.NilError(t, err)
		assert.Equal(t, string(content), "mine")
	})
}

func TestWalk(t *testing.T) {
	root := makeFiles(t)
	watched, err := os.Stat(filepath.Join(root, "dir/sub/file"))
	assert.NilError(t, err)
	st := watched.Sys().(*syscall.Stat_t)
	everyMode(t, root, func(t *testing.T, d *Disk) {
		u, err := d.Walk(t.Context(), scan.Watch{{Device: uint64(st.Dev), Inode: st.Ino}: "sh (pid 1)"}, "dir", "link-out")
		assert.NilError(t, err)
		assert.Check(t, u.Complete, u.Problem)
		assert.Equal(t, u.Inodes, int64(5)) // dir, dir/link-up, dir/sub, dir/sub/file, link-out
		assert.Equal(t, u.OpenedBy, "sh (pid 1)")
	})
}
