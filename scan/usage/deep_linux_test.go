package usage

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// plantDeep makes a tree so deep that no path leads to its end: names of 255
// bytes, and on each level one directory more with a file in it. It returns the
// number of inodes.
func plantDeep(t testing.TB, root string, depth int) int64 {
	t.Helper()
	at, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	assert.NilError(t, err)
	for level := range depth {
		below := fmt.Sprintf("%d-%s", level*7919, strings.Repeat("d", 255))[:255]
		side := fmt.Sprintf("%d-%s", level*104729, strings.Repeat("s", 255))[:255]
		assert.NilError(t, unix.Mkdirat(at, below, 0o755))
		assert.NilError(t, unix.Mkdirat(at, side, 0o755))
		assert.NilError(t, unix.Mknodat(at, side+"/file", unix.S_IFREG|0o644, 0))
		next, err := unix.Openat(at, below, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		assert.NilError(t, err)
		assert.NilError(t, unix.Close(at))
		at = next
	}
	file, err := unix.Openat(at, "PG_VERSION", unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
	assert.NilError(t, err)
	_, err = unix.Write(file, make([]byte, 10_000))
	assert.NilError(t, err)
	assert.NilError(t, unix.Close(file))
	assert.NilError(t, unix.Close(at))
	return 3*int64(depth) + 2
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

// TestDeep walks a deep tree with the descriptors that the package comment
// promises to make do with, and two more: the name's directory, and the one that
// is just being opened.
func TestDeep(t *testing.T) {
	root := t.TempDir()
	if os.Geteuid() == 0 {
		mount(t, "-t", "tmpfs", "none", root) // a busy disk takes half a minute for it
	} else {
		t.Cleanup(func() { run(t, "rm", "-rf", root) }) // os.RemoveAll takes a descriptor a level
	}
	inodes := plantDeep(t, mkdir(t, root, "t"), 5000)
	bytes := duBytes(t, root, "t")
	for _, m := range modes {
		for _, workers := range []int{1, 3} {
			t.Run(m.name, func(t *testing.T) {
				w, fd := open(t, root, m.calls, workers)
				extra := 0
				if !m.calls.Handles {
					extra = workers // for reading fdinfo
				}
				limitFiles(t, workers*(window+1)+1+extra)
				u, err := w.Walk(context.Background(), fd, nil, "t")
				assert.NilError(t, err)
				assert.Equal(t, u.Problem, "")
				assert.Equal(t, u.Inodes, inodes)
				assert.Equal(t, u.Bytes, bytes)
				assert.Equal(t, len(u.Telling), 1)
				assert.Check(t, strings.HasPrefix(u.Telling[0], "t/…/") && strings.HasSuffix(u.Telling[0], "d/PG_VERSION"), "%s", u.Telling[0])
				assert.Check(t, len(u.Telling[0]) <= longest+len("t/…/"))
			})
		}
	}
}

// TestMoved takes a directory away that lies above where the walk is, at every
// moment of the walk. It must count nothing that is not below the name, and say
// so if it loses its way.
func TestMoved(t *testing.T) {
	const depth = window + 8
	root := t.TempDir()
	mkdir(t, root, "t", strings.Repeat("d/", depth))
	path, renamed, elsewhere := filepath.Join(root, "t/d/d/d"), filepath.Join(root, "t/d/d/e"), filepath.Join(root, "elsewhere")
	const (
		lost = "t/d/d/d: was moved or removed while it was being read"
		link = "t/d/d/d: is a symbolic link"
	)
	rename := func(from, to string) { assert.NilError(t, os.Rename(from, to)) }
	for _, c := range []struct {
		name string
		do   func()
		undo func()
		says []string // the problems that must occur, one time or another; no other may
	}{
		{"renamed", func() { rename(path, renamed) }, func() { rename(renamed, path) }, nil},
		{"moved", func() { rename(path, elsewhere) }, func() { rename(elsewhere, path) }, []string{lost}},
		{"swapped for a link", func() {
			rename(path, elsewhere)
			assert.NilError(t, os.Symlink("/etc", path))
		}, func() {
			assert.NilError(t, os.Remove(path))
			rename(elsewhere, path)
		}, []string{link, lost}},
	} {
		for _, m := range modes {
			t.Run(c.name+"/"+m.name, func(t *testing.T) {
				w, fd := open(t, root, m.calls, 1)
				before := openFiles(t)
				said := map[string]bool{}
				for at, over := 1, false; !over; at++ {
					h := &hook{Context: context.Background(), at: at, do: c.do}
					u, err := w.Walk(h, fd, nil, "t")
					assert.NilError(t, err)
					assert.Equal(t, openFiles(t), before)
					assert.Check(t, u.Inodes <= depth+1, "%d inodes", u.Inodes)
					assert.Equal(t, u.Complete, u.Problem == "")
					said[u.Problem] = true
					if over = h.calls < at; !over {
						c.undo()
					}
				}
				delete(said, "")
				assert.DeepEqual(t, slices.Sorted(maps.Keys(said)), c.says)
			})
		}
	}
}
