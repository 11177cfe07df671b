package unlink

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// modes are the kernels that a removal must work on.
var modes = []struct {
	name  string
	calls beneath.Calls
}{
	{"5.8", beneath.Calls{Openat2: true, Statx: true, MountID: true, Handles: true}},
	{"5.6", beneath.Calls{Openat2: true, Statx: true, Handles: true}},
	{"5.8 without openat2", beneath.Calls{Statx: true, MountID: true, Handles: true}},
	{"3.10", beneath.Calls{Handles: true}},
	{"3.10 without handles", beneath.Calls{}},
}

// nothing says that nothing is mounted, even where something is: what is left
// to hold then is the guard of each descriptor.
func nothing() error { return nil }

// crew returns one for a kernel.
func crew(calls beneath.Calls, workers int) *Crew {
	c := New(workers)
	c.calls = &calls
	return c
}

// open opens a directory until the test ends.
func open(t testing.TB, dir string) *os.File {
	t.Helper()
	f, err := os.Open(dir)
	assert.NilError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// everyWay runs a test for each mode, alone and shared out, each in a directory
// of its own.
func everyWay(t *testing.T, test func(t *testing.T, root string, c *Crew)) {
	t.Helper()
	for _, m := range modes {
		for _, workers := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s/%d", m.name, workers), func(t *testing.T) {
				test(t, t.TempDir(), crew(m.calls, workers))
			})
		}
	}
}

// remove removes "t" of the root.
func remove(t testing.TB, c *Crew, root string, o Options) (Report, error) {
	t.Helper()
	if o.Mounted == nil {
		o.Mounted = nothing
	}
	return c.Remove(context.Background(), open(t, root), "t", o)
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	assert.NilError(t, err, "%s", out)
}

// mount mounts until the test ends.
func mount(t testing.TB, args ...string) {
	t.Helper()
	run(t, "mount", args...)
	t.Cleanup(func() { run(t, "umount", args[len(args)-1]) })
}

// plant writes files and, for names that end in a slash, makes directories.
func plant(t testing.TB, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(root, name)
		if strings.HasSuffix(name, "/") {
			assert.NilError(t, os.MkdirAll(path, 0o755))
			continue
		}
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		assert.NilError(t, os.WriteFile(path, []byte(strings.Repeat(name, 500)), 0o644))
	}
}

// manifest describes what is at and below a directory, content and all.
func manifest(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		assert.NilError(t, err)
		info, err := e.Info()
		assert.NilError(t, err)
		st := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprintf("%v %d %d:%d %v", info.Mode(), st.Ino, st.Uid, st.Gid, info.ModTime())
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			assert.NilError(t, err)
			text += string(data)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			assert.NilError(t, err)
			text += target
		}
		all[path] = text
		return nil
	})
	assert.NilError(t, err)
	return all
}

// left are the paths that are still there, below the root.
func left(t testing.TB, root string) []string {
	t.Helper()
	var paths []string
	root = filepath.Clean(root)
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		assert.NilError(t, err)
		if path != root {
			paths = append(paths, strings.TrimPrefix(path, root+"/"))
		}
		return nil
	})
	assert.NilError(t, err)
	return paths
}

// openFiles counts the descriptors of this process.
func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	assert.NilError(t, err)
	return len(entries)
}

// setFlags sets inode flags, and takes all away when the test ends.
func setFlags(t testing.TB, path string, flags int) {
	t.Helper()
	set := func(flags int) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		old, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			return err
		}
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(old)&^keeping|flags)
	}
	assert.NilError(t, set(flags))
	t.Cleanup(func() { _ = set(0) }) // it may be gone
}

// flags returns those of the inode flags that keep it.
func flags(t testing.TB, path string) int {
	t.Helper()
	f, err := os.Open(path)
	assert.NilError(t, err)
	defer f.Close()
	all, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	assert.NilError(t, err)
	return int(all) & keeping
}

// A hook is a context that does something at one of the moments at which a
// removal looks whether it is cancelled: between any two of its steps.
type hook struct {
	context.Context
	calls int
	at    int // 0: each time
	do    func()
}

func (h *hook) Err() error {
	if h.calls++; h.at == 0 || h.calls == h.at {
		h.do()
	}
	return h.Context.Err()
}

// ownMounts gives a child a mount namespace of its own.
func ownMounts() *syscall.SysProcAttr { return &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} }
