package usage

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// modes are the kernels that a walk must work on.
var modes = []struct {
	name  string
	calls beneath.Calls
}{
	{"5.8", beneath.Calls{Openat2: true, Statx: true, MountID: true, Handles: true}},
	{"5.6", beneath.Calls{Openat2: true, Statx: true, Handles: true}},
	{"4.11", beneath.Calls{Statx: true, Handles: true}},
	{"3.10", beneath.Calls{Handles: true}},
	{"3.10 without handles", beneath.Calls{}},
}

// open returns a walker and a descriptor of the directory.
func open(t testing.TB, dir string, calls beneath.Calls, workers int) (*Walker, int) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, unix.Close(fd)) })
	return New(calls, workers), fd
}

// everyWay runs a test on the directory for each mode, alone and shared out.
func everyWay(t *testing.T, dir string, test func(t *testing.T, walk func(names ...string) scan.Usage)) {
	t.Helper()
	for _, m := range modes {
		for _, workers := range []int{1, 4} {
			t.Run(m.name, func(t *testing.T) {
				w, fd := open(t, dir, m.calls, workers)
				test(t, func(names ...string) scan.Usage {
					u, err := w.Walk(context.Background(), fd, nil, names...)
					assert.NilError(t, err)
					return u
				})
			})
		}
	}
}

// counted is the plainest way to say what a walk should say: by the standard
// library's walk, which knows nothing of mounts, races and depth.
func counted(t testing.TB, root string, names ...string) scan.Usage {
	t.Helper()
	want := scan.Usage{Complete: true}
	seen := map[uint64]int64{}
	for _, name := range names {
		err := filepath.WalkDir(filepath.Join(root, name), func(_ string, e fs.DirEntry, err error) error {
			assert.NilError(t, err)
			info, err := e.Info()
			assert.NilError(t, err)
			st := info.Sys().(*syscall.Stat_t)
			if changed := time.Unix(st.Ctim.Unix()).UTC(); changed.After(want.Newest) {
				want.Newest = changed
			}
			if seen[st.Ino]++; !e.IsDir() && seen[st.Ino] < int64(st.Nlink) {
				return nil
			}
			want.Bytes += st.Blocks * 512
			want.Inodes++
			return nil
		})
		assert.NilError(t, err)
	}
	return want
}

func mkdir(t testing.TB, elements ...string) string {
	t.Helper()
	dir := filepath.Join(elements...)
	assert.NilError(t, os.MkdirAll(dir, 0o755))
	return dir
}

// write makes a file and the directories that it needs.
func write(t testing.TB, path string, size int) {
	t.Helper()
	mkdir(t, filepath.Dir(path))
	assert.NilError(t, os.WriteFile(path, make([]byte, size), 0o644))
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("makes mounts, device nodes or other users' files: needs root")
	}
}

// TestWalk compares walks with du and with the standard library's.
func TestWalk(t *testing.T) {
	for _, c := range trees {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			mkdir(t, root, "t")
			c.plant(t, root)
			names := c.names
			if names == nil {
				names = []string{"t"}
			}
			want := counted(t, root, names...)
			assert.Equal(t, want.Bytes, duBytes(t, root, names...))
			everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
				assert.DeepEqual(t, walk(names...), want)
			})
		})
	}
}

func TestWatch(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"t/a/f", "t/b/f", "t/c/f", "u/f"} {
		write(t, filepath.Join(root, name), 1)
	}
	key := func(name string) scan.FileKey {
		var st unix.Stat_t
		assert.NilError(t, unix.Lstat(filepath.Join(root, name), &st))
		return scan.FileKey{Device: uint64(st.Dev), Inode: st.Ino}
	}
	for _, c := range []struct {
		name  string
		watch scan.Watch
		want  string
	}{
		{"nothing", nil, ""},
		{"a file", scan.Watch{key("t/b/f"): "sh (pid 1)"}, "sh (pid 1)"},
		{"a directory", scan.Watch{key("t/b"): "sh (pid 2)"}, "sh (pid 2)"},
		{"the name itself", scan.Watch{key("t"): "sh (pid 3)"}, "sh (pid 3)"},
		{"the first", scan.Watch{key("t/c/f"): "third", key("t/a/f"): "first", key("t/b/f"): "second"}, "first"},
		{"outside", scan.Watch{key("u/f"): "sh (pid 4)"}, ""},
		{"another device", scan.Watch{{Device: 1, Inode: key("t/b/f").Inode}: "sh (pid 5)"}, ""},
	} {
		for _, m := range modes {
			t.Run(c.name+"/"+m.name, func(t *testing.T) {
				w, fd := open(t, root, m.calls, 2)
				u, err := w.Walk(context.Background(), fd, c.watch, "t")
				assert.NilError(t, err)
				assert.Equal(t, u.OpenedBy, c.want)
			})
		}
	}
}

// An inode that has names elsewhere is not freed with what is walked.
func TestShared(t *testing.T) {
	root := t.TempDir()
	mkdir(t, root, "u")
	write(t, filepath.Join(root, "t/own"), 10_000)
	write(t, filepath.Join(root, "t/a/f"), 50_000)
	for _, name := range []string{"t/twin", "u/f"} {
		assert.NilError(t, os.Link(filepath.Join(root, "t/a/f"), filepath.Join(root, name)))
	}
	var st unix.Stat_t
	assert.NilError(t, unix.Lstat(filepath.Join(root, "u/f"), &st))
	whole := counted(t, root, "t", "u")
	assert.Equal(t, whole.Bytes, duBytes(t, root, "t", "u"))
	everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
		assert.DeepEqual(t, walk("t", "u"), whole)
		u := walk("t")
		assert.DeepEqual(t, u.Shared, []scan.SharedFile{
			{FileKey: scan.FileKey{Device: uint64(st.Dev), Inode: st.Ino}, Names: 2, Links: 3, Bytes: st.Blocks * 512},
		})
		assert.Equal(t, u.Bytes, counted(t, root, "t").Bytes)
		assert.Equal(t, u.Bytes, duBytes(t, root, "t")-st.Blocks*512)
		assert.Equal(t, u.Newest, whole.Newest, "a change of what is shared is a change")
	})
}
