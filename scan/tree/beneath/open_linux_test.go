package beneath

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// TestDirOn opens a directory that the same file system is mounted over. With
// openat2 the kernel refuses by itself, without it the mount id tells.
func TestDirOn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounts: needs root")
	}
	root := t.TempDir()
	over := filepath.Join(root, "over")
	for _, dir := range []string{over, filepath.Join(root, "plain")} {
		assert.NilError(t, os.Mkdir(dir, 0o755))
	}
	assert.NilError(t, os.Symlink("plain", filepath.Join(root, "link")))
	assert.NilError(t, unix.Mount(t.TempDir(), over, "", unix.MS_BIND, ""))
	defer func() { assert.NilError(t, unix.Unmount(over, unix.MNT_DETACH)) }()
	dir, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC, 0)
	assert.NilError(t, err)
	defer unix.Close(dir)
	for _, c := range []struct {
		name   string
		calls  Calls
		unsure bool // whether the mount of the directory is not known
	}{
		{"openat2 alone", Calls{Openat2: true}, true},
		{"statx", Calls{Statx: true, MountID: true}, false},
		{"handles", Calls{Handles: true}, false},
		{"fdinfo", Calls{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var on, st Stat
			assert.NilError(t, c.calls.Fstat(dir, &on))
			assert.Check(t, on.Mount != 0)
			if c.unsure {
				on.Mount = 0
			}
			fd, err := c.calls.DirOn(dir, "plain", on.Mount, &st)
			assert.NilError(t, err)
			assert.NilError(t, unix.Close(fd))
			assert.Equal(t, st.Device, on.Device)

			_, err = c.calls.DirOn(dir, "over", on.Mount, &st)
			assert.ErrorIs(t, err, unix.EXDEV)
			_, err = c.calls.DirOn(dir, "link", on.Mount, &st)
			assert.ErrorIs(t, err, unix.ELOOP)

			_, err = c.calls.PathOn(dir, "over", on.Mount, &st)
			assert.ErrorIs(t, err, unix.EXDEV)
			fd, err = c.calls.PathOn(dir, "link", on.Mount, &st)
			assert.NilError(t, err)
			assert.NilError(t, unix.Close(fd))
			assert.Equal(t, st.Type(), uint32(unix.S_IFLNK))
		})
	}
}
