package unlink

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

const immutable, appendOnly = 0x10, 0x20

// plantFlags makes a tree with every kind of entry that a flag can keep.
func plantFlags(t *testing.T, root string) {
	t.Helper()
	plant(t, root, "t/f", "t/immutable", "t/append", "t/dir/f", "t/dir/d/f", "t/log/f", "t/empty/")
	for name, mode := range map[string]uint32{"fifo": unix.S_IFIFO, "socket": unix.S_IFSOCK, "whiteout": unix.S_IFCHR} {
		dir := mkdir(t, root, "t/"+name+"/")
		assert.NilError(t, unix.Mknod(filepath.Join(dir, name), mode|0o600, 0))
		setFlags(t, dir, immutable)
	}
	assert.NilError(t, os.Symlink("f", filepath.Join(mkdir(t, root, "t/link"), "link")))
	setFlags(t, filepath.Join(root, "t/link"), immutable)
	setFlags(t, filepath.Join(root, "t/immutable"), immutable)
	setFlags(t, filepath.Join(root, "t/append"), appendOnly)
	setFlags(t, filepath.Join(root, "t/dir"), immutable)
	setFlags(t, filepath.Join(root, "t/log"), appendOnly)
	setFlags(t, filepath.Join(root, "t/empty"), immutable|appendOnly)
}

// TestFlags leaves what flags keep, unless it may take them off.
func TestFlags(t *testing.T) {
	needRoot(t)
	everyWay(t, func(t *testing.T, root string, c *Crew) {
		plantFlags(t, root)
		r, err := remove(t, c, root, Options{})
		assert.ErrorIs(t, err, unix.EPERM)
		var paths []string
		for _, p := range r.Left {
			assert.ErrorIs(t, p.Err, unix.EPERM)
			paths = append(paths, p.Path)
		}
		assert.DeepEqual(t, paths, []string{
			"t/append", "t/dir/d", "t/dir/f", "t/empty", "t/fifo/fifo", "t/immutable", "t/link/link", "t/log/f", "t/socket/socket",
			"t/whiteout/whiteout",
		})
		assert.Equal(t, flags(t, filepath.Join(root, "t/immutable")), immutable)
		assert.Equal(t, flags(t, filepath.Join(root, "t/dir")), immutable)
		paths = append(paths, "t", "t/dir", "t/fifo", "t/link", "t/log", "t/socket", "t/whiteout")
		slices.Sort(paths)
		assert.DeepEqual(t, left(t, root), paths)

		_, err = remove(t, c, root, Options{ClearFlags: true})
		assert.NilError(t, err)
		assert.DeepEqual(t, left(t, root), []string(nil))
	})
}

// TestFlagsElsewhere changes no flag of what is not the tree's alone: another
// name's inode (sequence S23), the directory that the tree lies in, what is
// mounted over a file.
func TestFlagsElsewhere(t *testing.T) {
	needRoot(t)
	everyWay(t, func(t *testing.T, root string, c *Crew) {
		plant(t, root, "t/f", "t/g", "live", "mounted")
		live, mounted := filepath.Join(root, "live"), filepath.Join(root, "mounted")
		assert.NilError(t, os.Link(live, filepath.Join(root, "t/shared")))
		setFlags(t, live, immutable)
		setFlags(t, mounted, immutable)
		setFlags(t, filepath.Join(root, "t/g"), immutable)
		mount(t, "--bind", mounted, filepath.Join(root, "t/g"))
		r, err := remove(t, c, root, Options{ClearFlags: true})
		assert.ErrorIs(t, err, ErrMount)
		assert.Equal(t, r.Stay, int64(2))
		assert.DeepEqual(t, r.Left[1].Path, "t/shared")
		assert.ErrorIs(t, r.Left[1].Err, ErrLinks)
		assert.Equal(t, flags(t, live), immutable)
		assert.Equal(t, flags(t, mounted), immutable)

		setFlags(t, root, immutable)
		plant(t, root, "t/f")
		dir := open(t, root)
		_, err = c.Remove(context.Background(), dir, "mounted", Options{Mounted: nothing, ClearFlags: true})
		assert.ErrorIs(t, err, unix.EPERM)
		assert.Equal(t, flags(t, root), immutable)
		setFlags(t, root, 0)
	})
}
