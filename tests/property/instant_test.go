//go:build linux

package property

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// TestEveryInstant lets a whole operation happen between two reads of a scan,
// for every two reads, with an age that protects nothing: the order of reading
// alone must see to it that nothing needed is an orphan. Were references
// collected before objects are listed, what was made in between would be one.
func TestEveryInstant(t *testing.T) {
	begin := map[string]func(w *world) *operation{
		"pull":           func(w *world) *operation { return w.pull(w.fresh("image"), []string{"a", w.fresh("x"), w.fresh("y")}) },
		"create":         func(w *world) *operation { return w.create(w.imageIDs()[0]) },
		"commit":         func(w *world) *operation { return w.commit(w.containerIDs()[0]) },
		"build":          func(w *world) *operation { return w.build(w.imageIDs()[0]) },
		"BuildKit build": func(w *world) *operation { return w.buildKit(w.imageIDs()[0], "") },
		"image mount":    func(w *world) *operation { return w.imageMount(w.containerIDs()[0], w.imageIDs()[0]) },
		"rm":             func(w *world) *operation { return w.rm(w.containerIDs()[1]) },
		"rmi":            func(w *world) *operation { return w.rmi(w.imageIDs()[1]) },
		"builder prune":  func(w *world) *operation { return w.builderPrune(sorted(w.builds)[0]) },
	}
	for _, name := range sorted(begin) {
		for _, online := range []bool{false, true} {
			t.Run(name+map[bool]string{false: " offline", true: " online"}[online], func(t *testing.T) {
				t.Parallel()
				everyInstant(t, online, begin[name])
			})
		}
	}
}

// everyInstant scans with an operation after the first read, then after the
// second, and so on until a scan ends before its time has come. The daemon's
// answers add little, so with it every third must do.
func everyInstant(t *testing.T, online bool, begin func(*world) *operation) {
	proc := t.TempDir()
	assert.NilError(t, testkit.QuietProc(proc))
	step := 1
	if online {
		step = 3
	}
	for at, happened := 1, true; happened; at += step {
		dir := filepath.Join(proc, "root")
		w, err := newWorld(dir, "overlay2")
		assert.NilError(t, err)
		w.furnish(t)
		happened = false
		reads := 0
		m := &machine{world: w, proc: proc, tally: &tally{}}
		verdicts, err := m.verdicts(online, scan.Policy{Now: time.Now().Add(time.Minute)}, func(testkit.Read) error {
			if reads++; reads != at {
				return nil
			}
			happened = true
			return w.finish(begin(w))
		})
		assert.NilError(t, err)
		for name := range w.needed(online) {
			assert.Check(t, verdicts[name] != scan.Orphan, "read %d: %s", at, name)
		}
		if t.Failed() {
			return
		}
		assert.NilError(t, os.RemoveAll(dir))
	}
}

// furnish makes what the operations work at.
func (w *world) furnish(t *testing.T) {
	t.Helper()
	for _, o := range []func() *operation{
		func() *operation { return w.pull("second", []string{"a", "b"}) },
		func() *operation { return w.create(w.imageIDs()[0]) },
		func() *operation { return w.buildKit(w.imageIDs()[0], "") },
	} {
		assert.NilError(t, w.finish(o()))
	}
	w.start = time.Now()
}
