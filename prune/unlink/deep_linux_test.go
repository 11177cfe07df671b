package unlink

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// plantDeep makes a tree so deep that no path leads to its end, on each level
// with one directory more that has a file in it. It returns how many of its
// entries are directories; the files are one less than half of that.
func plantDeep(t testing.TB, root string, depth int) int64 {
	t.Helper()
	at, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	assert.NilError(t, err)
	for level := range depth {
		below, side := fmt.Sprintf("%d-below", level*7919), fmt.Sprintf("%d-side", level*104729)
		assert.NilError(t, unix.Mkdirat(at, below, 0o755))
		assert.NilError(t, unix.Mkdirat(at, side, 0o755))
		assert.NilError(t, unix.Mknodat(at, side+"/file", unix.S_IFREG|0o644, 0))
		next, err := unix.Openat(at, below, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		assert.NilError(t, err)
		assert.NilError(t, unix.Close(at))
		at = next
	}
	assert.NilError(t, unix.Close(at))
	return 2*int64(depth) + 1
}

// deepRoot is a directory on a file system in memory: a busy disk takes minutes
// for 100,000 levels, and os.RemoveAll takes a descriptor for each.
func deepRoot(t *testing.T) string {
	t.Helper()
	needRoot(t)
	root := t.TempDir()
	mount(t, "-t", "tmpfs", "none", root)
	return root
}

// limitFiles forbids all but so many more descriptors until the test ends.
func limitFiles(t *testing.T, more int) {
	t.Helper()
	limit := 0
	for ; more > 0; limit++ {
		if _, err := unix.FcntlInt(uintptr(limit), unix.F_GETFD, 0); err == unix.EBADF {
			more--
		}
	}
	var old unix.Rlimit
	assert.NilError(t, unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &old))
	low := unix.Rlimit{Cur: uint64(limit), Max: old.Max}
	assert.NilError(t, unix.Prlimit(0, unix.RLIMIT_NOFILE, &low, nil))
	t.Cleanup(func() { assert.NilError(t, unix.Prlimit(0, unix.RLIMIT_NOFILE, &old, nil)) })
}

// TestDeep removes a deep tree with the descriptors that the package comment
// promises to make do with, and two for each worker more: what is being opened,
// and what tells its mount; and one that the queue is.
func TestDeep(t *testing.T) {
	for _, m := range modes {
		for _, workers := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d", m.name, workers), func(t *testing.T) {
				root := deepRoot(t)
				dirs := plantDeep(t, mkdir(t, root, "t"), 3000)
				dir := open(t, root)
				trash := open(t, mkdir(t, root, "trash"))
				limitFiles(t, workers*(maxDepth+2)+1)
				r, err := crew(m.calls, workers).Remove(t.Context(), dir, "t", Options{Mounted: nothing, Trash: trash})
				assert.NilError(t, err)
				assert.Equal(t, r.Dirs, dirs)
				assert.Equal(t, r.Files, dirs/2)
				assert.Equal(t, r.Deep, "")
				assert.DeepEqual(t, left(t, root), []string{"trash"})
			})
		}
	}
}

// TestMemory removes 100,000 levels, and a directory of 300,000 files, in flat
// memory.
func TestMemory(t *testing.T) {
	root := deepRoot(t)
	deep, wide := mkdir(t, root, "deep"), mkdir(t, root, "wide")
	plantDeep(t, deep, 100_000)
	dir := open(t, wide)
	for i := range 300_000 {
		assert.NilError(t, unix.Mknodat(int(dir.Fd()), fmt.Sprint("some-name-", i), unix.S_IFREG|0o644, 0))
	}
	for _, path := range []string{deep, wide} {
		peak := asChild(t, path)
		assert.Check(t, peak < 48, "%s: %g MB", filepath.Base(path), peak)
	}
	assert.DeepEqual(t, left(t, root), []string(nil))
}

// TestTooDeep leaves what is too deep where there is no trash to move it to, or
// one on another mount.
func TestTooDeep(t *testing.T) {
	everyWay(t, func(t *testing.T, root string, c *Crew) {
		deep := "t" + strings.Repeat("/d", maxDepth)
		plant(t, root, deep+"/f", "t/f")
		r, err := remove(t, c, root, Options{})
		assert.ErrorIs(t, err, ErrDeep)
		assert.Equal(t, r.Files, int64(1))
		assert.Equal(t, r.Stay, int64(1))
		assert.Equal(t, r.Left[0].Path, deep)
		_, err = os.Stat(filepath.Join(root, deep, "f"))
		assert.NilError(t, err)

		_, err = remove(t, c, root, Options{Trash: open(t, "/proc")})
		assert.ErrorIs(t, err, ErrTrash)
		_, err = remove(t, c, root, Options{Trash: open(t, root)})
		assert.NilError(t, err)
		assert.DeepEqual(t, left(t, root), []string(nil))
	})
}

// TestDeepProblem says where something is that stays in the trash.
func TestDeepProblem(t *testing.T) {
	needRoot(t)
	everyWay(t, func(t *testing.T, root string, c *Crew) {
		deep := "t" + strings.Repeat("/d", maxDepth)
		plant(t, root, deep+"/a/b/f", deep+"/a/g")
		setFlags(t, filepath.Join(root, deep, "a/b/f"), immutable)
		dir := open(t, root)
		r, err := remove(t, c, root, Options{Trash: dir})
		assert.ErrorIs(t, err, unix.EPERM)
		assert.Equal(t, r.Stay, int64(1))
		assert.Equal(t, r.Left[0].Path, r.Deep+"/0/a/b/f")
		assert.DeepEqual(t, left(t, root), []string{r.Deep, r.Deep + "/0", r.Deep + "/0/a", r.Deep + "/0/a/b", r.Deep + "/0/a/b/f"})
		_, err = c.Remove(t.Context(), dir, r.Deep, Options{Mounted: nothing, ClearFlags: true})
		assert.NilError(t, err)
		assert.DeepEqual(t, left(t, root), []string(nil))
	})
}

func mkdir(t testing.TB, root, name string) string {
	t.Helper()
	path := filepath.Join(root, name)
	assert.NilError(t, os.MkdirAll(path, 0o755))
	return path
}
