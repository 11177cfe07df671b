package tree

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
	"github.com/docker-orphans/docker-orphans/tests/subvolume"
)

func TestStat(t *testing.T) {
	began := time.Now().Add(-time.Second) // file systems' clocks tick coarsely
	root := makeFiles(t)
	assert.NilError(t, os.Link(filepath.Join(root, "file"), filepath.Join(root, "dir", "twin")))
	assert.NilError(t, unix.Chmod(filepath.Join(root, "empty"), 0o6755))
	assert.NilError(t, unix.Chmod(filepath.Join(root, "dir"), 0o1777))
	names := append([]string{".", "dir/twin", "dir/sub/file"}, hostile...)
	entries, err := os.ReadDir(root)
	assert.NilError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	everyMode(t, root, func(t *testing.T, d *Disk) {
		for _, name := range names {
			want, err := os.Lstat(root + "/" + name)
			assert.NilError(t, err)
			sys := want.Sys().(*syscall.Stat_t)
			got, err := d.Stat(name)
			assert.NilError(t, err)
			assert.Equal(t, got.Mode, want.Mode(), "%q", name)
			assert.Equal(t, got.Size, want.Size(), "%q", name)
			assert.Equal(t, got.Links, uint64(sys.Nlink), "%q", name)
			assert.Equal(t, got.Stamp.Device, uint64(sys.Dev), "%q", name)
			assert.Equal(t, got.Stamp.Inode, sys.Ino, "%q", name)
			assert.Check(t, got.Stamp.Change.Equal(time.Unix(sys.Ctim.Unix())), "%q", name)
			assert.Check(t, got.Stamp.Mount != 0, "%q", name)
			if d.calls.Statx {
				assert.Check(t, got.Stamp.Birth.After(began) && got.Stamp.Birth.Before(time.Now()), "%q: born %v", name, got.Stamp.Birth)
			} else {
				assert.Check(t, got.Stamp.Birth.IsZero(), "%q", name)
			}
		}
	})
}

func TestStatErrors(t *testing.T) {
	everyMode(t, makeFiles(t), func(t *testing.T, d *Disk) {
		for _, r := range []struct {
			name string
			is   error
		}{
			{"none", fs.ErrNotExist},
			{"file/below", unix.ENOTDIR},
			{"link-dir/sub", scan.ErrSymlink},
			{"link-out/file", scan.ErrSymlink},
			{"../outside", beneath.ErrName},
			{"", beneath.ErrName},
		} {
			_, err := d.Stat(r.name)
			assert.ErrorIs(t, err, r.is)
			assert.Check(t, strings.HasPrefix(err.Error(), beneath.Shown(r.name)+": "), "%v", err)
			_, err = d.ReadLink(r.name)
			assert.ErrorIs(t, err, r.is)
			assert.Check(t, strings.HasPrefix(err.Error(), beneath.Shown(r.name)+": "), "%v", err)
		}
	})
}

// TestStatMount looks across a mount of the same file system over a directory
// below the root: it may be read, and the mount id tells it from its
// surroundings.
func TestStatMount(t *testing.T) {
	needRoot(t)
	root := makeFiles(t)
	source := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(source, "file"), []byte("mounted"), 0o644))
	over := filepath.Join(root, "dir")
	bind(t, source, over)
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(over))
	assert.NilError(t, err)
	assert.Equal(t, len(mounts), 1)
	everyMode(t, root, func(t *testing.T, d *Disk) {
		content, err := d.ReadFile("dir/file", 100)
		assert.NilError(t, err)
		assert.Equal(t, string(content), "mounted")
		for _, name := range []string{"dir", "dir/file"} {
			info, err := d.Stat(name)
			assert.NilError(t, err)
			assert.Equal(t, info.Stamp.Mount, uint64(mounts[0].ID))
		}
		info, err := d.Stat("file")
		assert.NilError(t, err)
		assert.Check(t, info.Stamp.Mount != uint64(mounts[0].ID) && info.Stamp.Mount != 0)
	})
}

func TestReadLink(t *testing.T) {
	root := makeFiles(t)
	long := strings.Repeat("x/", 2047)
	assert.NilError(t, os.Symlink(long, filepath.Join(root, "link-long")))
	everyMode(t, root, func(t *testing.T, d *Disk) {
		for name, want := range map[string]string{
			"link-file": "file", "dir/link-up": "../dir/sub", "dangling": "nowhere",
			"link-proc": "/proc/self/root", "link-hostile": "\x1b[2J\xff\n", "link-long": long,
		} {
			got, err := d.ReadLink(name)
			assert.NilError(t, err)
			assert.Equal(t, got, want)
		}
		for _, name := range []string{"file", "dir", "fifo", "."} {
			_, err := d.ReadLink(name)
			assert.Error(t, err, name+": not a symbolic link")
		}
	})
}

// A snapshot was born when it was made, and has a number that no other has. All
// else on a btrfs is as it says.
func TestStatSubvolume(t *testing.T) {
	root := subvolume.Mount(t)
	subvolume.Create(t, filepath.Join(root, "base"))
	assert.NilError(t, os.MkdirAll(filepath.Join(root, "base/dir"), 0o755))
	time.Sleep(20 * time.Millisecond) // file systems' clocks tick coarsely
	between := time.Now()
	time.Sleep(20 * time.Millisecond)
	assert.NilError(t, os.Mkdir(filepath.Join(root, "layers"), 0o755))
	subvolume.Snapshot(t, filepath.Join(root, "base"), filepath.Join(root, "layers/copy"))
	subvolume.Sync(t, root) // before 4.18 only what is on the disk can be asked for
	everyMode(t, root, func(t *testing.T, d *Disk) {
		stat := func(name string) scan.Info {
			info, err := d.Stat(name)
			assert.NilError(t, err)
			return info
		}
		base, copied, dir := stat("base"), stat("layers/copy"), stat("layers/copy/dir")
		assert.Equal(t, base.Stamp.Inode, copied.Stamp.Inode)
		assert.Assert(t, base.Stamp.Birth.Before(between) && copied.Stamp.Birth.After(between), "%v %v", base.Stamp, copied.Stamp)
		assert.Assert(t, base.Subvolume != 0 && copied.Subvolume != 0 && base.Subvolume != copied.Subvolume)
		assert.Equal(t, dir.Subvolume, uint64(0))
		assert.Equal(t, stat("layers").Subvolume, uint64(0))
		assert.Assert(t, dir.Stamp.Birth.Before(between))

		_, err := d.ReadDir("layers") // may keep it open
		assert.NilError(t, err)
		assert.Equal(t, stat("layers/copy"), copied)
		assert.NilError(t, os.Rename(filepath.Join(root, "layers/copy"), filepath.Join(root, "moved")))
		moved := stat("moved")
		assert.NilError(t, os.Rename(filepath.Join(root, "moved"), filepath.Join(root, "layers/copy")))
		assert.Equal(t, moved.Subvolume, copied.Subvolume)
		assert.Equal(t, moved.Stamp.Birth, copied.Stamp.Birth)
	})
}
