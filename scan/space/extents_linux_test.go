package space

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"github.com/docker-orphans/docker-orphans/tests/subvolume"
)

// Blocks that copies share are booked once, a file with several names does not
// lose any by that, and what was written to a copy since is its own.
func TestSharedBlocks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounts file systems: needs root")
	}
	const mb = 1 << 20
	for _, fs := range []struct {
		name  string
		mount func(testing.TB) string
		once  bool
	}{
		{"xfs", mountXFS, true}, {"btrfs", subvolume.Mount, true}, {"compressed btrfs", compressed, true}, {"ext4", plain, false},
	} {
		t.Run(fs.name, func(t *testing.T) {
			dir := fs.mount(t)
			run(t, "sh", "-c", `
				cd "$1" && mkdir -p vfs/dir/a volumes/v
				yes 0123456789abcdefghij | head -c 8388608 >vfs/dir/a/f
				ln vfs/dir/a/f vfs/dir/a/again
				sync vfs/dir/a/f
				cp --reflink=auto vfs/dir/a/f vfs/dir/copy
				cp --reflink=auto vfs/dir/a/f volumes/v/copy
				yes own | dd of=volumes/v/copy bs=1M count=2 seek=3 conv=notrunc,fsync iflag=fullblock status=none`, "sh", dir)
			if fs.name != "ext4" && fs.name != "xfs" {
				subvolume.Snapshot(t, dir, filepath.Join(dir, "tmp"))
			}
			run(t, "sync", "-f", dir)
			disk, err := tree.Open(dir)
			assert.NilError(t, err)
			defer func() { _ = disk.Close() }()
			l, err := Measure(t.Context(), &scan.Input{Tree: disk, DataRoot: dir}, &scan.Graph{}, nil, nil, nil, nil)
			assert.NilError(t, err)
			got := l.Bytes / mb
			if fs.once {
				assert.Assert(t, got == 10, "%d MB", got)
			} else {
				assert.Assert(t, got == 24, "%d MB", got)
			}
			assert.Assert(t, !l.AtMost && !l.Partial)
		})
	}
}

func mountXFS(t testing.TB) string {
	image := filepath.Join(t.TempDir(), "image")
	run(t, "truncate", "-s", "512M", image)
	run(t, "mkfs.xfs", "-q", image)
	return subvolume.Image(t, image)
}

func compressed(t testing.TB) string {
	dir := subvolume.Mount(t)
	run(t, "mount", "-o", "remount,compress-force=zstd", dir)
	return dir
}

func plain(t testing.TB) string {
	image := filepath.Join(t.TempDir(), "image")
	run(t, "truncate", "-s", "128M", image)
	run(t, "mkfs.ext4", "-q", image)
	return subvolume.Image(t, image)
}

func run(t testing.TB, command ...string) {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	assert.NilError(t, err, "%s", out)
}
