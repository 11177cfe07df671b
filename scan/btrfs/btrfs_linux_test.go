package btrfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/subvolume"
)

func open(t testing.TB, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, unix.Close(fd)) })
	return fd
}

// A snapshot carries the times of its origin. Both ways of asking tell when it
// was made all the same, and tell the two apart.
func TestSnapshot(t *testing.T) {
	root := subvolume.Mount(t)
	began := time.Now().Add(-time.Second) // file systems' clocks tick coarsely
	base := open(t, subvolume.Create(t, filepath.Join(root, "base")))
	between := time.Now()
	time.Sleep(20 * time.Millisecond)
	copied := open(t, subvolume.Snapshot(t, filepath.Join(root, "base"), filepath.Join(root, "copy")))
	subvolume.Sync(t, root)
	var ids []uint64
	for _, dir := range []struct {
		fd          int
		after, upTo time.Time
	}{{base, began, between}, {copied, between, time.Now()}} {
		s, ok, err := Of(dir.fd)
		assert.NilError(t, err)
		assert.Assert(t, ok)
		assert.Assert(t, s.Made.After(dir.after) && s.Made.Before(dir.upTo), "%v: %v to %v", s.Made, dir.after, dir.upTo)
		old, err := item(dir.fd)
		assert.NilError(t, err)
		assert.Equal(t, old, s)
		ids = append(ids, s.ID)
	}
	assert.Assert(t, ids[0] != ids[1])
}

func TestNoSubvolume(t *testing.T) {
	root := subvolume.Mount(t)
	assert.NilError(t, os.Mkdir(filepath.Join(root, "dir"), 0o755))
	for _, dir := range []string{filepath.Join(root, "dir"), t.TempDir(), "/proc"} {
		_, ok, err := Of(open(t, dir))
		assert.NilError(t, err)
		assert.Assert(t, !ok, dir)
	}
	s, ok, err := Of(open(t, root))
	assert.NilError(t, err)
	assert.Assert(t, ok && s.ID == 5, "%d", s.ID)

	// On another file system any directory may have that inode.
	ext4 := filepath.Join(t.TempDir(), "image")
	for _, args := range [][]string{{"truncate", "-s", "16M", ext4}, {"mkfs.ext4", "-q", ext4}} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		assert.NilError(t, err, "%s", out)
	}
	other := subvolume.Image(t, ext4)
	for range 300 {
		dir, err := os.MkdirTemp(other, "")
		assert.NilError(t, err)
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		assert.NilError(t, err)
		_, ok, err := Of(fd)
		assert.NilError(t, err)
		assert.Assert(t, !ok)
		assert.NilError(t, unix.Close(fd))
	}
}

// The numbers are those of the command.
func TestQuota(t *testing.T) {
	root := subvolume.Mount(t)
	at := subvolume.Create(t, filepath.Join(root, "base"))
	base := open(t, at)
	s, _, err := Of(base)
	assert.NilError(t, err)
	_, known := QuotaOf(base).Exclusive(base, s)
	assert.Assert(t, !known, "there is no quota")

	subvolume.Quota(t, root)
	assert.NilError(t, os.WriteFile(filepath.Join(at, "shared"), make([]byte, 1<<20), 0o600))
	subvolume.Snapshot(t, at, filepath.Join(root, "copy"))
	assert.NilError(t, os.WriteFile(filepath.Join(at, "own"), make([]byte, 3<<20), 0o600))
	subvolume.Sync(t, root)
	q := QuotaOf(base)
	bytes, known := q.Exclusive(base, s)
	assert.Assert(t, known && bytes >= 3<<20 && bytes < 4<<20, "%d", bytes)
	out, err := exec.Command("btrfs", "qgroup", "show", "--raw", root).CombinedOutput()
	assert.NilError(t, err, "%s", out)
	line := regexp.MustCompile(`0/` + "256" + `\s+\d+\s+(\d+)`).FindStringSubmatch(string(out))
	assert.Assert(t, line != nil && s.ID == 256, "%s", out)
	assert.Equal(t, strings.TrimSpace(line[1]), strconv.FormatInt(bytes, 10))
	_, known = q.Exclusive(base, Subvolume{ID: 12345})
	assert.Assert(t, !known, "no such group")
}

// A quota whose numbers cannot be trusted tells nothing.
func TestQuotaInDoubt(t *testing.T) {
	root := subvolume.Mount(t)
	at := subvolume.Create(t, filepath.Join(root, "base"))
	base := open(t, at)
	assert.NilError(t, os.WriteFile(filepath.Join(at, "shared"), make([]byte, 1<<20), 0o600))
	subvolume.Snapshot(t, at, filepath.Join(root, "copy"))
	subvolume.Quota(t, root)
	s, _, err := Of(base)
	assert.NilError(t, err)
	_, known := QuotaOf(base).Exclusive(base, s)
	assert.Assert(t, known)
	// To put a subvolume's group below another without counting anew.
	for _, args := range [][]string{{"create", "1/0", root}, {"assign", "--no-rescan", "0/256", "1/0", root}} {
		out, err := exec.Command("btrfs", append([]string{"qgroup"}, args...)...).CombinedOutput()
		assert.NilError(t, err, "%s", out)
	}
	subvolume.Sync(t, root)
	_, known = QuotaOf(base).Exclusive(base, s)
	assert.Assert(t, !known)
}
