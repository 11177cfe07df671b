package usage

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/subvolume"
)

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	assert.NilError(t, err, "%s", out)
}

func mount(t testing.TB, args ...string) {
	t.Helper()
	run(t, "mount", args...)
	t.Cleanup(func() { run(t, "umount", args[len(args)-1]) })
}

// plantMount makes a tree to mount over, and one to mount.
func plantMount(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"t/f", "t/a/f", "t/a/b/f", "u/f", "u/g"} {
		write(t, filepath.Join(root, name), 10_000)
	}
	mkdir(t, root, "t/b")
	mkdir(t, root, "t/a/b/c")
	return root
}

// TestMount walks trees that something is mounted in. What the mount covers
// cannot be seen; all else counts.
func TestMount(t *testing.T) {
	needRoot(t)
	for _, c := range []struct {
		name       string
		from, over string // none: a tmpfs
	}{
		{"a directory of the same file system", "u", "t/b"},
		{"below", "u", "t/a/b/c"},
		{"a tree into itself", "t", "t/b"},
		{"onto itself", "t/b", "t/b"},
		{"another file system", "", "t/b"},
		{"over a tree", "u", "t/a"},
		{"over the name itself", "u", "t"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := plantMount(t)
			want, covered := counted(t, root, "t"), counted(t, root, c.over)
			want.Bytes -= covered.Bytes
			want.Inodes -= covered.Inodes
			if c.from == "" {
				mount(t, "-t", "tmpfs", "none", filepath.Join(root, c.over))
			} else {
				mount(t, "--bind", filepath.Join(root, c.from), filepath.Join(root, c.over))
			}
			everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
				got := walk("t")
				want.Newest = got.Newest // the newest may be what is covered
				want.MountsOnly = true
				assert.DeepEqual(t, got, partly(want, c.over+": is a mount point"))
			})
		})
	}
}

// TestMountOverFile proves what the package comment says: only statx's mount
// id, or another device, gives it away.
func TestMountOverFile(t *testing.T) {
	needRoot(t)
	root := plantMount(t)
	want := counted(t, root, "t")
	mount(t, "--bind", filepath.Join(root, "u/f"), filepath.Join(root, "t/a/f"))
	for _, m := range modes {
		w, fd := open(t, root, m.calls, 1)
		u, err := w.Walk(context.Background(), fd, nil, "t")
		assert.NilError(t, err)
		if m.calls.MountID {
			assert.Equal(t, u.Problem, "t/a/f: is a mount point")
			assert.Check(t, u.MountsOnly)
			assert.Equal(t, u.Inodes, want.Inodes-1)
		} else {
			assert.Check(t, u.Complete, m.name)
		}
	}
	mount(t, "--bind", "/dev/null", filepath.Join(root, "t/f"))
	everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
		u := walk("t")
		assert.Check(t, !u.Complete)
		assert.Check(t, strings.HasSuffix(u.Problem, "f: is a mount point"), u.Problem)
	})
}

// TestSubvolume walks a btrfs: a name may be a subvolume, and so may what is
// below. Both count, and may be others' too.
func TestSubvolume(t *testing.T) {
	root := subvolume.Mount(t)
	layer := subvolume.Create(t, filepath.Join(root, "layer"))
	write(t, filepath.Join(layer, "a/f"), 10_000)
	nested := subvolume.Create(t, filepath.Join(layer, "a/nested"))
	write(t, filepath.Join(nested, "f"), 20_000)
	deeper := subvolume.Snapshot(t, nested, filepath.Join(nested, "deeper"))
	subvolume.Snapshot(t, layer, filepath.Join(root, "copy")) // with an empty directory where the other was
	subvolume.ReadOnly(t, deeper)
	subvolume.Sync(t, root) // blocks are counted when they are written
	want := scan.Usage{Complete: true, AtMost: true, Bytes: 12288 + 2*20480, Inodes: 7}
	time.Sleep(20 * time.Millisecond) // file systems' clocks tick coarsely
	made := time.Now()
	everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
		got := walk("layer")
		want.Newest = got.Newest
		assert.DeepEqual(t, got, want)
		assert.Equal(t, walk("copy").Inodes, int64(4))
		assert.Assert(t, walk("copy").Complete)
		assert.Assert(t, walk("copy").Newest.Before(made), "what is empty there has the time of this look")
	})
}

// TestQuota takes a quota's word for what a subvolume alone has.
func TestQuota(t *testing.T) {
	root := subvolume.Mount(t)
	layer := subvolume.Create(t, filepath.Join(root, "layer"))
	write(t, filepath.Join(layer, "shared"), 10<<20)
	nested := subvolume.Create(t, filepath.Join(layer, "nested"))
	write(t, filepath.Join(nested, "f"), 5<<20)
	subvolume.Snapshot(t, layer, filepath.Join(root, "copy"))
	write(t, filepath.Join(layer, "own"), 2<<20)
	subvolume.Quota(t, root)
	subvolume.Sync(t, root)
	everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
		u := walk("layer")
		assert.Assert(t, u.Complete && !u.AtMost)
		assert.Assert(t, u.Bytes >= 7<<20 && u.Bytes < 8<<20, "%d", u.Bytes)
		assert.Equal(t, u.Inodes, int64(5))
	})
}

// TestSubvolumeMounted walks a subvolume that others are mounted in: what is on
// the same file system is no part of it for that.
func TestSubvolumeMounted(t *testing.T) {
	root := subvolume.Mount(t)
	other := subvolume.Create(t, filepath.Join(root, "other"))
	write(t, filepath.Join(other, "f"), 10_000)
	layer := subvolume.Create(t, filepath.Join(root, "layer"))
	nested := subvolume.Create(t, filepath.Join(layer, "nested"))
	for _, c := range []struct{ name, over string }{
		{"over a directory", mkdir(t, layer, "dir")},
		{"over a subvolume", nested},
		{"over the name itself", layer},
	} {
		t.Run(c.name, func(t *testing.T) {
			mount(t, "--bind", other, c.over)
			everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
				u := walk("layer")
				assert.Equal(t, u.Problem, strings.TrimPrefix(c.over, root+"/")+": is a mount point")
				assert.Assert(t, u.Inodes < 3)
			})
		})
	}
}
