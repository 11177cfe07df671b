package unlink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// TestCancelled cancels a removal at every moment of it. What is left is part
// of the tree, and goes the next time.
func TestCancelled(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			cancelled(t, m.calls, 1, 0, "t/a/b/c/f", "t/a/b/c/g", "t/a/f", "t/d/f", "t/e/f", "t/f")
		})
	}
}

// TestCancelledDeep does so where part of the tree is in the trash.
func TestCancelledDeep(t *testing.T) {
	cancelled(t, modes[0].calls, 7, 1, "t"+strings.Repeat("/d", maxDepth+3)+"/f", "t/f")
}

// cancelled removes a tree of the names time and again, and cancels after one
// step, after step more, and so on. The queue, 1 if the tree needs one, may go
// after that.
func cancelled(t *testing.T, calls beneath.Calls, step, queue int, names ...string) {
	root := t.TempDir()
	dir := open(t, root)
	o := Options{Mounted: nothing, Trash: dir}
	for at, over := 1, false; !over; at += step {
		plant(t, root, names...)
		all := left(t, root)
		before := openFiles(t)
		ctx, cancel := context.WithCancel(t.Context())
		then := len(all)
		h := &hook{Context: ctx, at: at, do: func() {
			then = len(left(t, root))
			cancel()
		}}
		r, err := crew(calls, 1).Remove(h, dir, "t", o)
		assert.Equal(t, openFiles(t), before)
		if over = h.calls < at; over {
			assert.NilError(t, err)
		} else {
			assert.ErrorIs(t, err, context.Canceled)
		}
		rest := left(t, root)
		if r.Deep == "" {
			assert.Check(t, over || len(rest) >= then-queue, "%d went after it was cancelled", then-len(rest))
			assert.Equal(t, int64(len(rest)), int64(len(all))-r.Files-r.Dirs)
			for _, path := range rest {
				assert.Check(t, slices.Contains(all, path), path)
			}
		}
		for _, name := range []string{r.Deep, "t"} {
			if _, err := os.Lstat(filepath.Join(root, name)); name != "" && err == nil {
				_, err := crew(calls, 1).Remove(t.Context(), dir, name, o)
				assert.NilError(t, err)
			}
		}
		assert.DeepEqual(t, left(t, root), []string(nil))
		cancel()
	}
}

// TestGrows removes a tree that another process puts something into at every
// moment, which must end.
func TestGrows(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			root := t.TempDir()
			plant(t, root, "t/a/f", "t/f")
			n := 0
			h := &hook{Context: t.Context(), do: func() {
				n++
				_ = os.WriteFile(filepath.Join(root, "t/a", fmt.Sprint(n)), nil, 0o644) // until it is gone
			}}
			r, err := crew(m.calls, 1).Remove(h, open(t, root), "t", Options{Mounted: nothing})
			assert.ErrorIs(t, err, ErrGrows)
			assert.Equal(t, r.Stay, int64(1))
			assert.Equal(t, r.Left[0].Path, "t/a")
			assert.Check(t, n < 2000, n)
		})
	}
}

// TestGrew removes what was put into a directory that had been read to its end.
func TestGrew(t *testing.T) {
	for _, m := range modes {
		root := t.TempDir()
		for at, over := 1, false; !over; at++ {
			plant(t, root, "t/a/f", "t/f")
			late := false
			h := &hook{Context: t.Context(), at: at, do: func() {
				late = os.WriteFile(filepath.Join(root, "t/a/late"), nil, 0o644) == nil && os.Mkdir(filepath.Join(root, "t/a/dir"), 0o755) == nil
			}}
			r, err := crew(m.calls, 1).Remove(h, open(t, root), "t", Options{Mounted: nothing})
			if over = h.calls < at; !over && late && at == 1 {
				assert.Equal(t, r.Files, int64(3))
			}
			assert.NilError(t, err)
			assert.DeepEqual(t, left(t, root), []string(nil))
		}
	}
}

// TestLarge removes directories of which only part fits into the window, with
// few and with many directories in them.
func TestLarge(t *testing.T) {
	everyWay(t, func(t *testing.T, _ string, c *Crew) {
		root := deepRoot(t)
		<-c.windows
		c.windows <- &window{list: make([]byte, 3*beneath.ListSize)}
		at := mkdir(t, root, "t")
		for i := range 20_000 {
			name := filepath.Join(at, fmt.Sprintf("a-name-of-some-length-%d", i*7919))
			if i%4 == 0 {
				assert.NilError(t, os.Mkdir(name, 0o755))
				continue
			}
			assert.NilError(t, os.WriteFile(name, nil, 0o644))
		}
		r, err := remove(t, c, root, Options{})
		assert.NilError(t, err)
		assert.DeepEqual(t, left(t, root), []string(nil))
		assert.Equal(t, r.Files, int64(15_000))
		assert.Equal(t, r.Dirs, int64(5001))
		assert.Equal(t, len(c.windows), 1)
		assert.Equal(t, len(c.spare), 0)
	})
}

// TestProblems keeps the first by path, and counts all.
func TestProblems(t *testing.T) {
	var all, part Report
	why := errors.New("why")
	for i := range 3 * MaxLeft {
		p := Problem{Path: fmt.Sprintf("t/%05d", i*7919%(3*MaxLeft)), Err: why}
		if i%2 == 0 {
			all.left(p)
		} else {
			part.left(p)
		}
	}
	all.add(&part)
	assert.Equal(t, all.Stay, int64(3*MaxLeft))
	assert.Equal(t, len(all.Left), MaxLeft)
	for i := range all.Left {
		assert.Equal(t, all.Left[i].Path, fmt.Sprintf("t/%05d", i))
	}
	odd := &Problem{Path: "t/\x1b[2J", Err: why}
	assert.Error(t, odd, `"t/\x1b[2J": why`)
}
