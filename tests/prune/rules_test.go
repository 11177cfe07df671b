//go:build linux

package prune_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// execute makes a plan, carries it out and wants it to go to its end.
func (w *world) execute(o prune.Options) *prune.Result {
	w.t.Helper()
	plan, owner := w.plan(o)
	result, err := w.runner(w.disk()).Execute(w.t.Context(), plan, owner)
	assert.NilError(w.t, err)
	return result
}

// restart is the daemon starting anew. It sees what the process before it saw.
func (w *world) restart() {
	pid := w.Host.Owner.PID + 1
	assert.NilError(w.t, os.Symlink("1", filepath.Join(w.proc(), strconv.Itoa(pid))))
	w.Host.Owner = &scan.Process{PID: pid, Name: "dockerd", Started: time.Now()}
	w.Host.TmpMade = time.Now()
}

// Nothing becomes an orphan because we removed its owner (rule 16; S2, S3 and
// S6 of the sequences): over any number of prunes, restarts of the daemon and
// purges, nothing goes that the first look did not call an orphan, but for
// what a running daemon was known to hold only until it starts again.
func TestNothingIsLaundered(t *testing.T) {
	files, err := filepath.Glob("../roots/*.txtar")
	assert.NilError(t, err)
	for _, file := range files {
		for _, online := range []bool{true, false} {
			name := strings.TrimSuffix(filepath.Base(file), ".txtar")
			if online {
				name += "/online"
			}
			t.Run(name, func(t *testing.T) {
				driver, text := script(t, file)
				if online && strings.HasPrefix(text, "before 1.10\n") {
					return // no daemon of today serves it
				}
				w := newWorld(t, driver, text)
				if online && w.Daemon == nil {
					w.do("online")
				}
				launder(t, w)
			})
		}
	}
	for _, name := range slices.Concat(testkit.RealRoots, testkit.OldRoots) {
		t.Run("real/"+name, func(t *testing.T) {
			c, _ := testkit.Unpack(t, "../testdata/roots", name)
			launder(t, &world{Case: c, t: t})
		})
	}
}

// launder prunes, restarts and purges in turns.
func launder(t *testing.T, w *world) {
	first := map[string]string{}    // path → verdict
	datasets := map[string]string{} // of zfs, the same
	for _, f := range w.look("", nil, nil).Findings {
		for _, o := range f.Parts {
			verdict := f.Verdict.String()
			if strings.Contains(f.Reason, "until the daemon restarts") || strings.HasSuffix(f.Reason, "while the daemon runs") {
				verdict = "orphan" // all that holds it is the daemon's memory, and all it was too young for is the daemon
			}
			first[o.Path()] = verdict
			if o.Medium == scan.Dataset {
				datasets[o.Note().Handle.Name] = verdict
			}
		}
	}
	before := w.manifest()
	for round := range 4 {
		w.execute(prune.Options{Named: w.Driver == "zfs"}) // datasets go by name only
		if round > 0 {
			r := w.runner(w.disk())
			held, err := r.Held()
			assert.NilError(t, err)
			_, err = r.Purge(t.Context(), held)
			assert.NilError(t, err)
		}
		if w.Daemon != nil {
			w.restart()
		}
	}
	after := w.manifest()
	for path, verdict := range first {
		if _, there := before[path]; there && verdict != "orphan" {
			_, still := after[path]
			assert.Assert(t, still, "%s was %s, and is gone", w.Symbols(path), verdict)
		}
	}
	for name, verdict := range datasets {
		if verdict != "orphan" {
			assert.Assert(t, w.Pools.Dataset(name) != nil, "%s was %s, and is gone", w.Symbols(name), verdict)
		}
	}
}

// What a vanished container's layer lies on stays as long as that can come
// back, also when the daemon has started anew and the image is gone (S3).
func TestQuarantineKeepsParents(t *testing.T) {
	w := newWorld(t, "overlay2", `
image app: base top
image two: base own
container web app
container leak two
rm containers/{container leak}
online
forget {container leak}
`)
	w.execute(prune.Options{})
	w.do("rm image/DRIVER/imagedb/content/sha256/{image two}")
	w.do("forget {image two}")
	assert.Equal(t, w.verdicts()["image-layer {chain two 2}"], "used")
	w.restart()
	assert.Equal(t, w.verdicts()["image-layer {chain two 2}"], "kept")
	assert.Equal(t, w.execute(prune.Options{}).Plan.String(), "")

	// Once it is purged nothing needs them; the daemon that runs meanwhile
	// has never seen the record.
	r := w.runner(w.disk())
	held, err := r.Held()
	assert.NilError(t, err)
	_, err = r.Purge(t.Context(), held)
	assert.NilError(t, err)
	assert.Equal(t, w.verdicts()["image-layer {chain two 2}"], "orphan")
}

// Purged while the same daemon runs, they stay pinned until it restarts.
func TestPinnedUntilRestart(t *testing.T) {
	w := newWorld(t, "overlay2", `
image app: base top
image two: base own
container web app
container other two
container leak two
rm containers/{container leak}
rm image/DRIVER/imagedb/content/sha256/{image two}
rm containers/{container other}
rm image/DRIVER/layerdb/mounts/{container other}
online
forget {container leak}
forget {container other}
forget {image two}
`)
	w.execute(prune.Options{Purge: true})
	assert.Equal(t, w.verdicts()["image-layer {chain two 2}"], "used")
	w.restart()
	assert.Equal(t, w.verdicts()["image-layer {chain two 2}"], "orphan")
}

// A container's directory without a config takes the doubt along that it
// casts on layers without a record: they never become orphans by its going.
func TestShields(t *testing.T) {
	w := newWorld(t, "overlay2", `
image app: base top
container web app
layer stray on base
mkdir containers/{container lost}
online
`)
	assert.Equal(t, w.verdicts()["layer {layer stray}"], "unsure")
	w.execute(prune.Options{Purge: true})
	assert.Equal(t, w.verdicts()["layer {layer stray}"], "unsure")
	_, err := os.Lstat(filepath.Join(w.Dir, "overlay2", w.id("{layer stray}")))
	assert.NilError(t, err)
}

// That one container's directory is in the quarantine does not explain why there
// is no other: the containers may be lost, and what they had is not free (rule 1).
func TestQuarantineHidesNoLoss(t *testing.T) {
	w := newWorld(t, "overlay2", `
image app: base top
container web app
mkdir containers/{container lost}
`)
	assert.DeepEqual(t, w.ends(w.execute(prune.Options{})), map[string]journal.End{"container {container lost}": journal.Quarantined})
	w.do("mkdir volumes/{id anonymous}/_data")
	assert.Equal(t, w.verdicts()["rw-layer {container web}"], "used")
	w.do("rm containers/{container web}")
	verdicts := w.verdicts()
	assert.Equal(t, verdicts["rw-layer {container web}"], "unsure", "%v", verdicts)
	assert.Equal(t, verdicts["volume {id anonymous}"], "unsure", "%v", verdicts)
}

// What was restored can be removed by id, and by nothing else.
func TestRestoredGoesByID(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	w.execute(prune.Options{})
	r := w.runner(w.disk())
	held, err := r.Held()
	assert.NilError(t, err)
	_, err = r.Restore(t.Context(), held)
	assert.NilError(t, err)
	assert.Equal(t, w.execute(prune.Options{}).Plan.String(), "")

	named := map[scan.Node]bool{}
	for _, o := range held[0].Step.Objects {
		named[o.Node] = true
	}
	seen := w.look("", named, nil)
	plan := prune.NewPlan(seen.Graph, seen.Findings, prune.Options{Named: true})
	assert.Equal(t, len(plan.Steps), 1)
	result, err := r.Execute(t.Context(), plan, seen.Graph.Host.Owner)
	assert.NilError(t, err)
	assert.Equal(t, result.Outcomes[0].End, journal.Quarantined)
}

// A mount record whose name has slashes goes with the directories that are
// there only for it, and comes back with them.
func TestNestedRecord(t *testing.T) {
	w := newWorld(t, "overlay2", `
image app: base top
container web app
write image/DRIVER/layerdb/mounts/{id lost}-reg/io/foo:1/mount-id "{id im28}"
mkdir LAYERS/{id im28}/diff
online
`)
	before := w.manifest()
	result := w.execute(prune.Options{})
	assert.Equal(t, result.Outcomes[0].End, journal.Quarantined, "%v", result.Outcomes)
	_, err := os.Lstat(filepath.Join(w.Dir, "image/overlay2/layerdb/mounts", w.id("{id lost}-reg")))
	assert.Assert(t, os.IsNotExist(err))
	r := w.runner(w.disk())
	held, err := r.Held()
	assert.NilError(t, err)
	_, err = r.Restore(t.Context(), held)
	assert.NilError(t, err)
	after := w.manifest()
	for name := range maps.Keys(before) {
		if strings.Contains(name, "/mounts/") && strings.HasPrefix(before[name], "d") {
			assert.Assert(t, strings.HasPrefix(after[name], "d"), name)
		} else {
			assert.Equal(t, after[name], before[name], name)
		}
	}
}

// The daemon picks its storage driver by which driver's directory is not
// empty: none is emptied, and none is made (rule 13).
func TestDriverDirectoryStays(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	w.execute(prune.Options{})
	entries, err := os.ReadDir(filepath.Join(w.Dir, "overlay2"))
	assert.NilError(t, err)
	assert.Assert(t, len(entries) > 0)

	r := w.runner(w.disk())
	held, err := r.Held()
	assert.NilError(t, err)
	assert.NilError(t, os.Rename(filepath.Join(w.Dir, "overlay2"), filepath.Join(w.Dir, "elsewhere")))
	_, err = r.Restore(t.Context(), held)
	assert.ErrorContains(t, err, "no such file or directory")
	_, err = os.Lstat(filepath.Join(w.Dir, "overlay2"))
	assert.Assert(t, os.IsNotExist(err))
}

// One at a time (rule 14).
func TestOneAtATime(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	dir, err := filepath.EvalSymlinks(w.Dir)
	assert.NilError(t, err)
	unlock, err := prune.Lock(dir)
	assert.NilError(t, err)
	_, err = prune.Lock(dir)
	assert.ErrorIs(t, err, prune.ErrBusy)
	assert.NilError(t, unlock())
	unlock, err = prune.Lock(dir)
	assert.NilError(t, err)
	assert.NilError(t, unlock())
}

// What a run could not free is freed by the next; what it could not put back
// is put back by the next.
func TestLeft(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	before := w.manifest()
	plan, owner := w.plan(prune.Options{})
	stuck := &stuckDisk{Disk: w.disk(), tree: true}
	result, err := w.runner(stuck).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Equal(t, w.ends(result)["layer {layer stray}"], journal.Left)
	assert.Equal(t, w.verdicts()["layer {layer stray}"], "kept")
	r := w.runner(w.disk())
	_, err = r.Recover(t.Context())
	assert.NilError(t, err)
	_, listed := w.verdicts()["layer {layer stray}"]
	assert.Assert(t, !listed, "it is still there")
	assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Free, journal.Quarantine)...))

	w = newWorld(t, "overlay2", stray)
	before = w.manifest()
	plan, owner = w.plan(prune.Options{})
	stuck = &stuckDisk{Disk: w.disk()}
	w.atLook = func(n int) {
		if n == 2 {
			w.do("write image/DRIVER/layerdb/mounts/{id new}/mount-id \"{layer over}\"")
			stuck.back = true
		}
	}
	result, err = w.runner(stuck).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Equal(t, w.ends(result)["layer {layer over}"], journal.Left)
	w.atLook = nil
	_, err = w.runner(w.disk()).Recover(t.Context())
	assert.NilError(t, err)
	w.do("rm image/DRIVER/layerdb/mounts/{id new}")
	assert.DeepEqual(t, w.manifest(), before)
}

// A stuckDisk cannot unlink trees, or cannot put anything back.
type stuckDisk struct {
	prune.Disk
	tree, back bool
}

func (d *stuckDisk) RemoveTree(ctx context.Context, name string) (int64, error) {
	if d.tree {
		return 0, errFault
	}
	return d.Disk.RemoveTree(ctx, name)
}

func (d *stuckDisk) Rename(from, to string) error {
	if d.back && strings.HasPrefix(from, journal.Runs) {
		return errFault
	}
	return d.Disk.Rename(from, to)
}

// A line of the journal that a crash cut off is as if it was never begun, and
// the next line stands by itself. A line that is not understood keeps
// everything (rules 1 and 10).
func TestTornJournal(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	result := w.execute(prune.Options{})
	path := filepath.Join(w.Dir, journal.File(result.Run))
	whole, err := os.ReadFile(path)
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(path, append(whole, `{"version":1,"record":"pur`...), 0o600))
	r := w.runner(w.disk())
	held, err := r.Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 1)
	_, err = r.Restore(t.Context(), held)
	assert.NilError(t, err)
	assert.Equal(t, w.verdicts()["rw-layer {container leak}"], "kept")

	assert.NilError(t, os.WriteFile(path, append(whole, "{\"version\":1,\"record\":\"unheard of\"}\n"...), 0o600))
	for name, v := range w.verdicts() {
		assert.Assert(t, v != "orphan", name)
	}
}

// In a data root of Docker before 1.10 an image has one record alone: whether a
// layer without is a leak or that was lost cannot be told, so it can come back
// (rule 11).
func TestLayersOfBefore110GoToQuarantine(t *testing.T) {
	w := newWorld(t, "vfs", `
before 1.10
image app: base top
image gone: base lost
container web app
container leak app
rm graph/{layer lost}
rm containers/{container leak}
`)
	before := w.manifest()
	result := w.execute(prune.Options{})
	assert.Equal(t, len(result.Plan.Steps), 2)
	for _, s := range result.Plan.Steps {
		assert.Equal(t, s.Remover, journal.Quarantine, "%s", s.Finding)
	}
	r := w.runner(w.disk())
	held, err := r.Held()
	assert.NilError(t, err)
	_, err = r.Restore(t.Context(), held)
	assert.NilError(t, err)
	assert.DeepEqual(t, w.manifest(), before)
}
