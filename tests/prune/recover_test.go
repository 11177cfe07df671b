//go:build linux

package prune_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// heldBy maps the symbols of what is in quarantine to it.
func (w *world) heldBy(r *prune.Runner) map[string]prune.Held {
	w.t.Helper()
	held, err := r.Held()
	assert.NilError(w.t, err)
	out := map[string]prune.Held{}
	for _, h := range held {
		out[w.Symbols(h.Step.Finding)] = h
	}
	return out
}

// reason is why a scan calls what lies in quarantine what it does.
func (w *world) reason(h prune.Held) string {
	w.t.Helper()
	for _, f := range w.look("", nil, nil).Findings {
		if f.Parts[0].Path() == h.Step.Place(h.Run.ID, 0) {
			return f.Reason
		}
	}
	return "not found"
}

// cutOff carries out a plan up to an operation, after which the process ends.
func (w *world) cutOff(o prune.Options, what string) prune.Plan {
	w.t.Helper()
	plan, owner := w.plan(o)
	disk := &faultyDisk{Disk: w.disk(), fault: crashAfter, what: what}
	assert.Assert(w.t, dies(func() { _, _ = w.runner(disk).Execute(w.t.Context(), plan, owner) }))
	return plan
}

// outcomes are those that the journal of the only run tells, by symbol.
func (w *world) outcomes(tree scan.Tree) map[string]prune.Outcome {
	w.t.Helper()
	runs, err := journal.Read(tree)
	assert.NilError(w.t, err)
	assert.Equal(w.t, len(runs), 1)
	out := map[string]prune.Outcome{}
	for _, o := range runs[0].Outcomes {
		out[w.Symbols(runs[0].Plan.Step(o.Step).Finding)] = o
	}
	return out
}

// A run was cut off before it looked again, and the name of one thing that it
// took was given to another meanwhile. That one stays aside; it can be brought
// back under another name, and time alone never frees it.
func TestTakenNameOfInterrupted(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	w.cutOff(prune.Options{}, "rename volumes/unlisted")
	mine := filepath.Join(w.Dir, "volumes/unlisted/_data")
	assert.NilError(t, os.MkdirAll(mine, 0o755))
	before := w.manifest()

	r := w.runner(w.disk())
	for range 2 { // each run tries again
		_, err := r.Recover(t.Context())
		assert.ErrorContains(t, err, "volumes/unlisted: file exists")
	}
	o := w.outcomes(r.Tree)["unlisted"]
	assert.Equal(t, o.End, journal.Left)
	assert.Assert(t, o.Reason != "")
	held := w.heldBy(r)
	h, ok := held["unlisted"]
	assert.Assert(t, ok && len(held) == 1, "%v", held)
	assert.Equal(t, len(prune.Expired([]prune.Held{h}, time.Now().Add(1000*time.Hour), true)), 0)
	assert.Equal(t, w.reason(h), "taken by run "+h.Run.ID+", which could not put it back: the next prune tries again")
	_, err := r.Restore(t.Context(), []prune.Held{h})
	assert.ErrorContains(t, err, "something else is there now")
	assert.NilError(t, r.RestoreAs(t.Context(), h, "unlisted.old"))
	text, err := os.ReadFile(filepath.Join(w.Dir, "volumes/unlisted.old/_data/file"))
	assert.NilError(t, err)
	assert.Equal(t, string(text), "unlisted")
	_, err = r.Recover(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, without(w.manifest(), "volumes/unlisted.old"), before)
}

// Once its name is free again, the next run puts it back.
func TestNameOfInterruptedFreed(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	before := w.manifest()
	w.cutOff(prune.Options{}, "rename volumes/unlisted")
	mine := filepath.Join(w.Dir, "volumes/unlisted")
	assert.NilError(t, os.Mkdir(mine, 0o755))
	r := w.runner(w.disk())
	runs, err := r.Recover(t.Context())
	assert.ErrorContains(t, err, "file exists")
	assert.Equal(t, len(runs), 1, "it has an end, and is told")
	assert.NilError(t, os.Remove(mine))
	runs, err = r.Recover(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(runs), 0, "it was told before")
	assert.DeepEqual(t, w.manifest(), before)
}

// A run was cut off after it looked again, and one thing cannot be unlinked.
// What waits in quarantine can be brought back all the same.
func TestStuckTrashOfInterrupted(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	before := w.manifest()
	plan, owner := w.plan(prune.Options{})
	disk := &dyingDisk{w.disk()}
	assert.Assert(t, dies(func() { _, _ = w.runner(disk).Execute(t.Context(), plan, owner) }))
	r := w.runner(&stuckDisk{Disk: w.disk(), tree: true})
	_, err := r.Recover(t.Context())
	assert.ErrorIs(t, err, errFault)
	ends := w.outcomes(r.Tree)
	assert.Equal(t, ends["{layer stray}"].End, journal.Left)
	assert.Equal(t, ends["{container leak}"].End, journal.Quarantined)
	held := w.heldBy(r)
	assert.Equal(t, len(held), 1, "%v", held)
	_, err = r.Restore(t.Context(), []prune.Held{held["{container leak}"]})
	assert.NilError(t, err)
	want := without(before, moved(plan, journal.Free)...)
	assert.DeepEqual(t, w.manifest(), want)

	// Able to unlink again, the next run frees the rest, as was confirmed.
	_, err = w.runner(w.disk()).Recover(t.Context())
	assert.NilError(t, err)
	left, err := filepath.Glob(filepath.Join(w.Dir, journal.Runs, "*/trash/*"))
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, "%v", left)
	assert.DeepEqual(t, w.manifest(), want)
}

// A dyingDisk is where the process ends before anything is unlinked.
type dyingDisk struct{ prune.Disk }

func (*dyingDisk) RemoveTree(context.Context, string) (int64, error) { panic(crash{}) }

// The copy of a volume that still stands could not be taken away. The next run
// does, and does not take the copy for all that is left of the volume.
func TestStuckCopyOfInterrupted(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	before := w.manifest()
	w.cutOff(prune.Options{Take: takeOnly(w.anonymous())}, "link volumes/"+w.anonymous())
	_, err := w.runner(&stuckDisk{Disk: w.disk(), tree: true}).Recover(t.Context())
	assert.ErrorIs(t, err, errFault)
	r := w.runner(w.disk())
	assert.Equal(t, w.outcomes(r.Tree)["{id nobody}"].End, journal.Left)
	_, err = r.Recover(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(w.heldBy(r)), 0)
	assert.DeepEqual(t, w.manifest(), before)

	// Had its volume gone meanwhile, it would be all that is left of it.
	w = newWorld(t, "overlay2", leakyVolumes)
	w.cutOff(prune.Options{Take: takeOnly(w.anonymous())}, "link volumes/"+w.anonymous())
	_, err = w.runner(&stuckDisk{Disk: w.disk(), tree: true}).Recover(t.Context())
	assert.ErrorIs(t, err, errFault)
	r = w.runner(w.disk())
	assert.NilError(t, r.Volumes.RemoveVolume(t.Context(), w.anonymous()))
	_, err = r.Recover(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(w.heldBy(r)), 1)
}

// A run without a daemon was cut off, and then Docker was started: it has read
// its records of layers, and not the one that was away. That one stays away
// with its data as long as the daemon runs, or a pull of it would fail (rule 7).
func TestRecordStaysAsideOnline(t *testing.T) {
	for _, purge := range []bool{false, true} {
		w := newWorld(t, "overlay2", leakyOffline)
		before, verdicts := w.manifest(), w.verdicts()
		plan, _ := w.plan(prune.Options{Purge: purge})
		last := plan.Steps[len(plan.Steps)-1].Moves
		w.cutOff(prune.Options{Purge: purge}, "rename "+last[len(last)-1].From)
		w.do("online")
		for _, lost := range []string{"{image gone}", "{image held}", "{container leak}"} {
			w.do("forget " + lost)
		}
		r := w.runner(w.disk())
		for range 2 {
			_, err := r.Recover(t.Context())
			assert.ErrorContains(t, err, "is put back only while Docker is stopped")
			assert.ErrorContains(t, err, "stop Docker, and docker orphans")
		}
		now := w.manifest()
		ends := w.outcomes(r.Tree)
		for i := range plan.Steps {
			s := &plan.Steps[i]
			layer, end := s.Type == scan.TypeImageLayer, ends[w.Symbols(s.Finding)].End
			assert.Equal(t, end == journal.Left, layer, "%s %s", s.Type, w.Symbols(s.Finding))
			for _, m := range s.Moves {
				assert.Equal(t, now[m.From] == "", layer, m.From)
			}
		}
		for name, v := range w.verdicts() {
			assert.Assert(t, v != "orphan" || verdicts[name] == "orphan", name)
			assert.Assert(t, v != "unsure", name)
		}

		w.Daemon, w.Host.Online, w.Host.Owner = nil, false, nil
		_, err := w.runner(w.disk()).Recover(t.Context())
		assert.NilError(t, err)
		assert.DeepEqual(t, w.manifest(), before)
	}
}

// The daemon has pulled the layer anew since: of the record that is aside
// nothing is needed any more.
func TestRegisteredAnewOnline(t *testing.T) {
	w := newWorld(t, "overlay2", leakyOffline)
	record := "image/overlay2/layerdb/sha256/" + w.id("{chain gone 3}")
	w.cutOff(prune.Options{}, "rename "+record)
	w.do("layer anew on mid base")
	w.do("write " + record + "/cache-id \"{layer anew}\"")
	w.do("online")
	r := w.runner(w.disk())
	_, err := r.Recover(t.Context())
	assert.NilError(t, err)
	left, err := filepath.Glob(filepath.Join(w.Dir, journal.Runs, "*/trash/*"))
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, "%v", left)
}

// So it is with what was set aside to repair it: that is brought back only
// while no daemon runs.
func TestRestoreRecordOnline(t *testing.T) {
	w := newWorld(t, "overlay2", brokenImages)
	before := w.manifest()
	w.execute(prune.Options{})
	w.do("online")
	r := w.runner(w.disk())
	held, err := r.Held()
	assert.NilError(t, err)
	aside := w.manifest()
	layers := 0
	for _, h := range held {
		if h.Step.Type == scan.TypeImageLayer {
			layers++
			err := r.Restorable(t.Context(), h, "")
			assert.ErrorContains(t, err, "is put back only while Docker is stopped")
			var hint interface{ Hint() string }
			assert.Assert(t, errors.As(err, &hint))
			_, err = r.Restore(t.Context(), []prune.Held{h})
			assert.ErrorContains(t, err, "is put back only while Docker is stopped")
		}
	}
	assert.Assert(t, layers > 0, "no test")
	assert.DeepEqual(t, w.manifest(), aside)

	w.Daemon, w.Host.Online, w.Host.Owner = nil, false, nil
	w.assertBack(w.runner(w.disk()), before)
}

// What could be taken only in part, and not be put back, is not called
// untouched.
func TestTakenInPart(t *testing.T) {
	w := newWorld(t, "overlay2", stray)
	before := w.manifest()
	plan, owner := w.plan(prune.Options{})
	moves := plan.Steps[0].Moves
	assert.Assert(t, len(moves) > 1, "no test")
	disk := &faultyDisk{Disk: &stuckDisk{Disk: w.disk(), back: true}, fault: failBefore, what: "rename " + moves[1].From}
	result, err := w.runner(disk).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Equal(t, result.Outcomes[0].End, journal.Left, "%v", result.Outcomes)
	assert.Equal(t, result.Outcomes[1].End, journal.Skipped, "%v", result.Outcomes)
	assert.Assert(t, result.Stopped != "")
	_, err = w.runner(w.disk()).Recover(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, w.manifest(), before)
}

// A full disk is said to have left everything alone only where it has.
func TestFullDiskAtTheEnd(t *testing.T) {
	for record, untouched := range map[string]bool{"begun": true, "looked": false, "done": false} {
		w := newWorld(t, "overlay2", leaky)
		plan, owner := w.plan(prune.Options{})
		result, err := w.runner(&fullDisk{w.disk(), `"record":"` + record + `"`}).Execute(t.Context(), plan, owner)
		if record == "looked" { // all of it is back
			assert.NilError(t, err)
			assert.Assert(t, result.Stopped != "")
			continue
		}
		assert.ErrorIs(t, err, syscall.ENOSPC)
		var hint interface{ Hint() string }
		assert.Assert(t, errors.As(err, &hint))
		assert.Equal(t, strings.Contains(hint.Hint(), "nothing was touched"), untouched, hint.Hint())
		assert.Assert(t, strings.Contains(hint.Hint(), "ake a few hundred kB free"))
	}
}

// A fullDisk has no space for one record of a journal.
type fullDisk struct {
	prune.Disk
	record string
}

func (d *fullDisk) Append(name string, data []byte) error {
	if strings.Contains(string(data), d.record) {
		return syscall.ENOSPC
	}
	return d.Disk.Append(name, data)
}

// All directories that lead to the plan are on stable storage before the first
// act, the data root's own too, in which the first run makes ours (rule 10).
func TestDirectoriesComeFirst(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	disk := &faultyDisk{Disk: w.disk()}
	plan, owner := w.plan(prune.Options{})
	_, err := w.runner(disk).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	first := slices.IndexFunc(disk.ops, func(op string) bool { return strings.HasPrefix(op, "rename ") })
	for _, dir := range []string{".", journal.Dir, journal.Runs} {
		at := slices.Index(disk.ops, "sync "+dir)
		assert.Assert(t, at >= 0 && at < first, "%s: %v", dir, disk.ops)
	}
}

// A run whose plan is lost and that has taken something is not forgotten, for
// nobody would find that again: nothing is judged, and no run begins.
func TestLostPlan(t *testing.T) {
	for name, damage := range map[string]func(journal string) error{
		"cut off": func(file string) error { return os.Truncate(file, 100) },
		"empty":   func(file string) error { return os.Truncate(file, 0) },
		"gone":    os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "overlay2", leaky)
			before := w.manifest()
			result := w.execute(prune.Options{})
			file := filepath.Join(w.Dir, journal.File(result.Run))
			whole, err := os.ReadFile(file)
			assert.NilError(t, err)
			assert.NilError(t, damage(file))
			r := w.runner(w.disk())
			_, err = r.Recover(t.Context())
			assert.ErrorContains(t, err, "the plan is lost")
			for name, v := range w.verdicts() {
				assert.Assert(t, v != "orphan", name)
			}
			assert.NilError(t, os.WriteFile(file, whole, 0o600))
			held, err := r.Held()
			assert.NilError(t, err)
			_, err = r.Restore(t.Context(), held)
			assert.NilError(t, err)
			assert.DeepEqual(t, w.manifest(), without(before, moved(result.Plan, journal.Free)...))
		})
	}

	// One that took nothing was cut off before it began.
	w := newWorld(t, "overlay2", leaky)
	assert.NilError(t, os.MkdirAll(filepath.Join(w.Dir, journal.RunDir("20200101T000000-aaaaaa"), "held"), 0o700))
	r := w.runner(w.disk())
	_, err := r.Recover(t.Context())
	assert.NilError(t, err)
	_, err = os.Stat(filepath.Join(w.Dir, journal.RunDir("20200101T000000-aaaaaa")))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
