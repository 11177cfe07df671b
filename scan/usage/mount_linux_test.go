package usage

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
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

// TestSubvolume walks a btrfs: a name may be a subvolume, what is below is
// another thing.
func TestSubvolume(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("mkfs.btrfs"); err != nil {
		t.Skip("no mkfs.btrfs")
	}
	image := filepath.Join(t.TempDir(), "image")
	run(t, "truncate", "-s", "128M", image)
	run(t, "mkfs.btrfs", "-q", image)
	root := t.TempDir()
	if out, err := exec.Command("mount", "-o", "loop", image, root).CombinedOutput(); err != nil {
		t.Skipf("no btrfs: %s", out)
	}
	t.Cleanup(func() { run(t, "umount", root) })
	run(t, "btrfs", "subvolume", "create", filepath.Join(root, "layer"))
	write(t, filepath.Join(root, "layer/a/f"), 10_000)
	unix.Sync() // blocks are counted when they are written
	want := counted(t, root, "layer")
	everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
		assert.DeepEqual(t, walk("layer"), want)
	})
	run(t, "btrfs", "subvolume", "create", filepath.Join(root, "layer/a/nested"))
	write(t, filepath.Join(root, "layer/a/nested/f"), 10_000)
	everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
		got := walk("layer")
		assert.Equal(t, got.Problem, "layer/a/nested: is a subvolume or on another file system")
		assert.Equal(t, got.Inodes, want.Inodes)
	})
}
