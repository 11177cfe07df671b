//go:build linux

package prune_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// held is what lies in quarantine.
func (w *world) held(r *prune.Runner) []prune.Held {
	w.t.Helper()
	held, err := r.Held()
	assert.NilError(w.t, err)
	return held
}

// What a user asked to have back, and could not be brought back to the end, is
// not freed once its time is over (rule 11).
func TestExpiryKeepsWhatIsWanted(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	w.execute(prune.Options{Take: takeOnly(w.anonymous())})
	disk := &faultyDisk{Disk: w.disk(), fault: crashBefore, what: "like volumes/" + w.anonymous() + "/_data"}
	r := w.runner(disk)
	assert.Assert(t, dies(func() { _, _ = r.Restore(t.Context(), w.held(r)) }))
	r = w.runner(w.disk())
	held := w.held(r)
	assert.Equal(t, len(held), 1)
	far := time.Now().Add(2 * time.Hour)
	assert.Equal(t, len(prune.Expired(held, far, true)), 0)

	_, err := r.Recover(t.Context()) // and once it is back nothing is held
	assert.NilError(t, err)
	assert.Equal(t, len(w.held(r)), 0)
}

// A dataset that is back, or was destroyed, is in no list of what is held; who
// does not ask zfs has no list. It is kept however often the time is over.
func TestHeldDatasets(t *testing.T) {
	for what, act := range map[string]func(*prune.Runner, context.Context, []prune.Held) ([]prune.Held, error){
		"restored": (*prune.Runner).Restore, "purged": (*prune.Runner).Purge,
	} {
		t.Run(what, func(t *testing.T) {
			_, z, r, held, _, _ := quarantinedDataset(t)
			_, err := act(r, t.Context(), held)
			assert.NilError(t, err)
			_, err = (&prune.Runner{Tree: r.Tree}).Held()
			assert.ErrorContains(t, err, "zfs is not asked here")
			list, err := (&prune.Runner{Tree: r.Tree, ZFS: z}).Held()
			assert.NilError(t, err)
			assert.Equal(t, len(list), 0)
		})
	}
}

// Where zfs does not answer it is not known what is back: nothing is announced
// that would make it an orphan again.
func TestPurgeWithoutZFS(t *testing.T) {
	w, z, r, held, _, _ := quarantinedDataset(t)
	_, err := r.Restore(t.Context(), held)
	assert.NilError(t, err)
	z.calls, z.fail = 0, 1
	_, err = r.Purge(t.Context(), held)
	assert.ErrorIs(t, err, errInjected)
	for name, verdict := range w.verdicts() {
		assert.Assert(t, verdict != "orphan" || name != "rw-layer {container leak}", "%s is %s", name, verdict)
	}
}

// What a purge has freed a part of does not come back as if it were whole.
func TestHalfFreed(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	w.execute(prune.Options{})
	r := w.runner(&halfFreeing{w.disk(), w})
	held := w.held(r)
	_, err := r.Purge(t.Context(), held)
	assert.ErrorIs(t, err, errFault)
	r = w.runner(w.disk())
	before := w.manifest()
	held = w.held(r)
	assert.Assert(t, len(held) > 0)
	back, err := r.Restore(t.Context(), held)
	assert.ErrorContains(t, err, "it was being freed")
	assert.Equal(t, len(back), 0)
	assert.DeepEqual(t, w.manifest(), before)
	_, err = r.Recover(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(w.held(r)), 0)
}

// A halfFreeing disk takes files away and fails.
type halfFreeing struct {
	prune.Disk
	w *world
}

func (d *halfFreeing) RemoveTree(context.Context, string) (int64, error) {
	files, err := filepath.Glob(filepath.Join(d.w.Dir, journal.Runs, "*/held/*/diff/*"))
	assert.NilError(d.w.t, err)
	for _, f := range files {
		assert.NilError(d.w.t, os.RemoveAll(f))
	}
	return 0, errFault
}

// copyRoot copies the data root as one does to a larger disk.
func (w *world) copyRoot() {
	w.t.Helper()
	run(w.t, "cp", "-a", w.Dir, w.Dir+".new")
	assert.NilError(w.t, os.Rename(w.Dir, w.Dir+".old"))
	assert.NilError(w.t, os.Rename(w.Dir+".new", w.Dir))
}

// The quarantine travels with the data root, to a file system of other inodes.
func TestRestoreOfCopiedRoot(t *testing.T) {
	for _, script := range []string{leaky, leakyVolumes, leakyOffline} {
		w := newWorld(t, "overlay2", script)
		before := w.manifest()
		result := w.execute(prune.Options{})
		w.copyRoot()
		r := w.runner(w.disk())
		held := w.held(r)
		assert.Assert(t, len(held) > 0)
		for _, h := range held {
			assert.Assert(t, r.Copied(h.Run))
		}
		slices.Reverse(held)
		_, err := r.Restore(t.Context(), held)
		assert.NilError(t, err)
		assert.DeepEqual(t, w.manifest(), without(before, moved(result.Plan, journal.Free)...))
	}
}

// So does what an interrupted run has renamed.
func TestRecoverOfCopiedRoot(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	before := w.manifest()
	plan, owner := w.plan(prune.Options{})
	disk := &faultyDisk{Disk: w.disk(), fault: crashAfter, what: "rename " + plan.Steps[1].Moves[0].From}
	assert.Assert(t, dies(func() { _, _ = w.runner(disk).Execute(t.Context(), plan, owner) }))
	w.copyRoot()
	_, err := w.runner(w.disk()).Recover(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, w.manifest(), before)
}

// What somebody put into a place is not brought back as what was there, and
// nothing is written down that every later run would try.
func TestRestoreOfSwapped(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	w.execute(prune.Options{})
	r := w.runner(w.disk())
	held := w.held(r)
	place := filepath.Join(w.Dir, held[0].Step.Place(held[0].Run.ID, 0))
	assert.NilError(t, os.Rename(place, w.Dir+".was"))
	assert.NilError(t, os.Mkdir(place, 0o755))
	before := w.manifest()
	_, err := r.Restore(t.Context(), held[:1])
	assert.ErrorContains(t, err, "is not what was shown")
	assert.DeepEqual(t, w.manifest(), before)
	assert.Assert(t, !w.held(r)[0].Run.Restored(held[0].Step.ID))
	_, err = r.Recover(t.Context())
	assert.NilError(t, err)
}

// What lies on another of the same run can come back after it, and is told so.
func TestRestorableAfterOthers(t *testing.T) {
	for _, driver := range []string{"aufs", "overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			w := newWorld(t, driver, `
before 1.10
image app: base top
image gone: base lost more
container web app
container leak gone
rm graph/{layer lost}
rm graph/{layer more}
rm containers/{container leak}
`)
			before := w.manifest()
			w.execute(prune.Options{})
			r := w.runner(w.disk())
			held := w.held(r)
			slices.Reverse(held)
			assert.Assert(t, len(held) > 1, "no test")
			alone := 0
			for i, h := range held {
				assert.NilError(t, r.Restorable(t.Context(), h, "", held[:i]...), w.Symbols(h.Step.Finding))
				if r.Restorable(t.Context(), h, "") == nil {
					alone++
				}
			}
			assert.Assert(t, alone < len(held) || driver != "aufs", "no test") // elsewhere none needs another that goes
			_, err := r.Restore(t.Context(), held)
			assert.NilError(t, err)
			assert.DeepEqual(t, w.manifest(), before)
		})
	}
}

// The daemon does not know what the quarantine needs: an image can be removed,
// and then what lay on it cannot come back. Where its files are is told.
func TestNeedsWhatIsGone(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	w.execute(prune.Options{})
	assert.NilError(t, os.RemoveAll(filepath.Join(w.Dir, "image/overlay2/layerdb/sha256", w.id("{chain app 2}"))))
	r := w.runner(w.disk())
	held := w.held(r)
	_, err := r.Restore(t.Context(), held)
	assert.ErrorContains(t, err, "it needs image/overlay2/layerdb/sha256/"+w.id("{chain app 2}"))
	var hint interface{ Hint() string }
	assert.Assert(t, errors.As(err, &hint))
	files, err := filepath.Glob(filepath.Join(w.Dir, journal.Runs, "*/held/*="+w.id("{layer leak-rw}")))
	assert.NilError(t, err)
	assert.Equal(t, len(files), 1)
	place, err := filepath.Rel(w.Dir, files[0])
	assert.NilError(t, err)
	assert.Assert(t, strings.HasSuffix(hint.Hint(), "from below the data root: "+place), hint.Hint())
}
