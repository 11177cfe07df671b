package unlink

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/subvolume"
)

// everySubvolumeWay runs a test for each kernel whose mounts can be told, alone
// and shared out, on a btrfs. Those without it must take nothing.
func everySubvolumeWay(t *testing.T, test func(t *testing.T, root string, c *Crew)) {
	t.Helper()
	root := subvolume.Mount(t)
	for _, m := range modes {
		for _, workers := range []int{1, 4} {
			t.Run(m.name, func(t *testing.T) { test(t, root, crew(m.calls, workers)) })
		}
	}
}

// A subvolume is part of a tree, wherever in it it is, and so are those in it.
// Nothing beside the tree is touched, be it what it was made from.
func TestSubvolume(t *testing.T) {
	everySubvolumeWay(t, func(t *testing.T, root string, c *Crew) {
		plant(t, root, "u/")
		subvolume.Create(t, filepath.Join(root, "u/origin"))
		plant(t, root, "u/origin/f", "u/origin/a/f")
		beside := manifest(t, filepath.Join(root, "u"))
		for name, make := range map[string]func(){
			"the tree": func() { subvolume.Snapshot(t, filepath.Join(root, "u/origin"), filepath.Join(root, "t")) },
			"below it": func() {
				plant(t, root, "t/a/f")
				subvolume.Snapshot(t, filepath.Join(root, "u/origin"), filepath.Join(root, "t/a/sub"))
			},
			"in one": func() {
				subvolume.Create(t, filepath.Join(root, "t"))
				plant(t, root, "t/a/b/f", "t/c/f")
				subvolume.Snapshot(t, filepath.Join(root, "u/origin"), filepath.Join(root, "t/a/b/sub"))
				subvolume.Create(t, filepath.Join(root, "t/a/b/sub/a/deeper"))
				plant(t, root, "t/a/b/sub/a/deeper/f")
			},
			"in a read-only one": func() {
				subvolume.Create(t, filepath.Join(root, "t"))
				subvolume.Create(t, filepath.Join(root, "t/sub"))
				plant(t, root, "t/sub/a/")
				subvolume.Create(t, filepath.Join(root, "t/sub/a/deeper"))
				subvolume.ReadOnly(t, filepath.Join(root, "t/sub"))
			},
		} {
			make()
			r, err := remove(t, c, root, Options{ClearFlags: true})
			assert.NilError(t, err, name)
			assert.Assert(t, r.Dirs > 0, name)
			assert.DeepEqual(t, manifest(t, filepath.Join(root, "u")), beside)
			_, err = os.Lstat(filepath.Join(root, "t"))
			assert.ErrorIs(t, err, os.ErrNotExist, name)
		}
		subvolume.Delete(t, filepath.Join(root, "u/origin"))
		assert.NilError(t, os.Remove(filepath.Join(root, "u")))
		assert.Equal(t, len(subvolume.List(t, root)), 0, "none is left, be it without a name")
	})
}

// Flags stay where they are not to be cleared, and with them what they keep.
func TestSubvolumeReadOnly(t *testing.T) {
	everySubvolumeWay(t, func(t *testing.T, root string, c *Crew) {
		subvolume.Create(t, filepath.Join(root, "t"))
		subvolume.Create(t, filepath.Join(root, "t/sub"))
		subvolume.ReadOnly(t, filepath.Join(root, "t"))
		_, err := remove(t, c, root, Options{})
		assert.ErrorContains(t, err, "read-only file system")
		assert.DeepEqual(t, left(t, root), []string{"t", "t/sub"})
		_, err = remove(t, c, root, Options{ClearFlags: true})
		assert.NilError(t, err)
	})
}

// Where something is mounted nothing goes, for to destroy a subvolume would
// unmount it.
func TestSubvolumeMounted(t *testing.T) {
	everySubvolumeWay(t, func(t *testing.T, root string, c *Crew) {
		subvolume.Create(t, filepath.Join(root, "t"))
		subvolume.Create(t, filepath.Join(root, "t/sub"))
		_, err := remove(t, c, root, Options{Mounted: func() error { return ErrMount }})
		assert.ErrorIs(t, err, ErrMount)
		assert.DeepEqual(t, left(t, root), []string{"t", "t/sub"})
		_, err = remove(t, c, root, Options{})
		assert.NilError(t, err)
	})
}

// On another file system any directory may have the inode that the top of a
// subvolume has.
func TestNoSubvolume(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	run(t, "truncate", "-s", "16M", image)
	run(t, "mkfs.ext4", "-q", image)
	root := subvolume.Image(t, image)
	for i := range 300 {
		plant(t, root, fmt.Sprintf("t/%d/", i))
	}
	_, err := remove(t, New(1), root, Options{})
	assert.NilError(t, err)
	_, err = os.Lstat(filepath.Join(root, "t"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// The quota group of a subvolume goes with it; newer kernels see to that
// themselves, once they have cleaned up.
func TestSubvolumeQuota(t *testing.T) {
	root := subvolume.Mount(t)
	subvolume.Quota(t, root)
	subvolume.Create(t, filepath.Join(root, "t"))
	groups := func() string {
		run(t, "btrfs", "filesystem", "sync", root) // wakes the one who cleans up
		out, err := exec.Command("btrfs", "qgroup", "show", root).CombinedOutput()
		assert.NilError(t, err, "%s", out)
		return string(out)
	}
	assert.Assert(t, strings.Contains(groups(), "0/256"))
	_, err := remove(t, New(1), root, Options{})
	assert.NilError(t, err)
	for end := time.Now().Add(time.Minute); strings.Contains(groups(), "0/256"); time.Sleep(100 * time.Millisecond) {
		assert.Assert(t, time.Now().Before(end), groups())
	}
}
