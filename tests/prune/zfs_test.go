//go:build linux

package prune_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/tool"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// leakyZFS is leakyThin, and a layer that nothing names with another on it.
const leakyZFS = leakyThin + "layer over on stray base\n"

// A zfsTool runs zfs on the datasets of a world, and fails or ends the process
// at one command.
type zfsTool struct {
	*testkit.Pools
	did     []string // the commands that change anything
	calls   int
	fail    int  // the call that fails; 0: none
	late    bool // it fails after it took effect
	killing bool // the process ends there: nothing is done any more
	killed  bool
	before  func(line string) // called before each command
}

func (z *zfsTool) Run(ctx context.Context, args ...string) (out []byte, err error) {
	z.calls++
	line := strings.Join(args, " ")
	if z.before != nil {
		z.before(line)
	}
	switch {
	case z.killed:
		return nil, errInjected
	case z.calls != z.fail:
		if args[0] != "list" {
			z.did = append(z.did, line)
		}
		return z.Pools.Run(ctx, args...)
	case z.late:
		_, _ = z.Pools.Run(ctx, args...) // it took effect, and nobody heard of it
	}
	z.killed = z.killing
	return nil, errInjected
}

// zfsWorld is a stopped daemon's data root, whose pool is in a kernel.
func zfsWorld(t *testing.T) (*world, *zfsTool) {
	t.Helper()
	w := newWorld(t, "zfs", leakyZFS)
	return w, &zfsTool{Pools: &w.Pools}
}

// zfsRunner is a run without a daemon.
func (w *world) zfsRunner(z *zfsTool) *prune.Runner {
	r := w.runner(w.disk())
	r.Adopt, r.ZFS = nil, z
	r.Pool = prune.LoopPool{}
	return r
}

// zpool is what is in the pool: names, guids and origins.
func (w *world) zpool() map[string]string {
	out := map[string]string{}
	for _, d := range w.Pools.Datasets {
		out[d.Name] = fmt.Sprint(d.GUID, " ", d.Origin)
	}
	return out
}

// datasets are those that a plan's steps of a remover move.
func datasets(plan *prune.Plan, remover journal.Remover) []string {
	var names []string
	for _, s := range plan.Steps {
		for _, m := range s.Moves {
			if m.Dataset.Name != "" && s.Remover == remover {
				names = append(names, m.Dataset.Name)
			}
		}
	}
	return names
}

// destroyed is a pool without some datasets, what is in them, and the
// snapshots that they began as.
func (w *world) destroyed(pool map[string]string, names ...string) map[string]string {
	out := maps.Clone(pool)
	for _, name := range names {
		_, origin, _ := strings.Cut(pool[name], " ")
		delete(out, origin)
		for n := range out {
			if n == name || strings.HasPrefix(n, name+"@") {
				delete(out, n)
			}
		}
	}
	return out
}

// Without a daemon datasets go if they are named: registered layers at once,
// leaf first; a container's, and what no record names, is renamed, comes back,
// and is destroyed once it is purged.
func TestDatasets(t *testing.T) {
	w, z := zfsWorld(t)
	before, pool := w.manifest(), w.zpool()
	plan, owner := w.plan(byName())
	assert.Equal(t, plan.Version, journal.DatasetsVersion)
	r := w.zfsRunner(z)
	result, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.DeepEqual(t, w.ends(result), map[string]journal.End{
		"image-layer {chain gone 3}": journal.Freed, "image-layer {chain gone 2}": journal.Freed,
		"layer {layer over}": journal.Quarantined, "layer {layer stray}": journal.Quarantined,
		"rw-layer {container leak}": journal.Quarantined,
	})
	gone, aside := datasets(&plan, journal.Dataset), datasets(&plan, journal.Quarantine)
	assert.Equal(t, len(gone), 2)
	assert.Equal(t, len(aside), 4)
	left := w.destroyed(pool, gone...)
	for name := range w.zpool() {
		_, was := left[name]
		assert.Assert(t, was || strings.HasPrefix(name, testkit.ParentDataset+"/docker-orphans-"+result.Run+"-"), name)
	}
	assert.Equal(t, len(w.zpool()), len(left))
	for name, verdict := range w.verdicts() {
		assert.Assert(t, verdict != "orphan" && verdict != "unknown", "%s: %s: what is in quarantine is no leak", name, verdict)
	}

	held, err := r.Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 3)
	_, err = r.Restore(t.Context(), held)
	assert.NilError(t, err)
	assert.DeepEqual(t, w.zpool(), left)
	assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Dataset)...))
	for name, verdict := range w.verdicts() {
		assert.Assert(t, verdict != "orphan", "%s: what was restored is kept", name)
	}
}

// What waits in quarantine is destroyed only while no daemon runs, and comes
// back also while one does.
func TestDatasetsPurge(t *testing.T) {
	w, z := zfsWorld(t)
	pool := w.zpool()
	plan, owner := w.plan(byName())
	r := w.zfsRunner(z)
	_, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	held, err := r.Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 3)
	far := r.Now().Add(1 << 50)
	assert.Equal(t, len(prune.Expired(held, far, true)), 0)
	assert.Equal(t, len(prune.Expired(held, far, false)), 3)

	is := w.zpool()
	r.Pool = nil
	_, err = r.Purge(t.Context(), held)
	assert.ErrorContains(t, err, "a dataset is destroyed only while Docker is stopped")
	_, err = r.Recover(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, w.zpool(), is)

	r = w.zfsRunner(z)
	z.did = nil
	_, err = r.Purge(t.Context(), held)
	assert.NilError(t, err)
	assert.DeepEqual(t, w.zpool(), w.destroyed(pool, append(datasets(&plan, journal.Dataset), datasets(&plan, journal.Quarantine)...)...))
	for _, line := range z.did {
		assert.Assert(t, strings.HasPrefix(line, "destroy -- "+testkit.ParentDataset+"/docker-orphans-"), line)
	}
	held, err = r.Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 0)
}

// prune leaves datasets to rm.
func TestDatasetsNamed(t *testing.T) {
	w, _ := zfsWorld(t)
	plan, _ := w.plan(prune.Options{Take: func(f *scan.Finding) bool { return f.Default }})
	assert.Equal(t, len(plan.Steps), 0, "%s", plan)
}

// Beside a daemon none goes by hand, nor is any marked: what no record of this
// data root names may be that of another daemon with the same parent.
func TestDatasetsOnline(t *testing.T) {
	w := newWorld(t, "zfs", "image app: base top\ncontainer web app\nlayer stray\nlayer over on stray base\nonline started=+1h\n")
	w.Host.Info.Version = "20.10.24"
	seen := w.look("", nil, nil)
	orphans := 0
	for i := range seen.Findings {
		if f := &seen.Findings[i]; f.Verdict == scan.Orphan {
			assert.Equal(t, f.Stays(&seen.Graph.Host), "a dataset goes by hand only while Docker is stopped")
			orphans++
		}
	}
	assert.Equal(t, orphans, 2)
	assert.Equal(t, prune.NewPlan(seen.Graph, seen.Findings, byName()).String(), "")
}

// quarantinedDataset is a world with a container's layer in quarantine, and the
// names that its datasets have.
func quarantinedDataset(t *testing.T) (w *world, z *zfsTool, r *prune.Runner, held []prune.Held, layer, init string) {
	t.Helper()
	w, z = zfsWorld(t)
	plan, owner := w.plan(prune.Options{Named: true, Take: func(f *scan.Finding) bool { return f.Type == scan.TypeRWLayer }})
	r = w.zfsRunner(z)
	_, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	held, err = r.Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 1)
	return w, z, r, held, held[0].Step.DatasetPlace(held[0].Run.ID, 0), held[0].Step.DatasetPlace(held[0].Run.ID, 1)
}

// What is in the way is said, and nothing is destroyed.
func TestDatasetsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(w *world, z *zfsTool, layer, init string)
		says string
	}{
		"another of the name": {func(_ *world, z *zfsTool, layer, _ string) { z.Dataset(layer).GUID = 99 }, "is not what was shown"},
		"made at another time": {func(_ *world, z *zfsTool, layer, _ string) {
			d := z.Dataset(layer)
			d.Created = d.Created.Add(time.Second)
		}, "is not what was shown"},
		"mounted":          {func(_ *world, z *zfsTool, layer, _ string) { z.Of(layer).Mounted = true }, "is mounted"},
		"a mountpoint":     {func(_ *world, z *zfsTool, layer, _ string) { z.Of(layer).Mountpoint = "/srv" }, "its mountpoint is /srv"},
		"a dataset in it":  {func(_ *world, z *zfsTool, layer, _ string) { z.add(layer+"/data", "") }, "/data lies in it"},
		"a bookmark of it": {func(_ *world, z *zfsTool, layer, _ string) { z.add(layer+"#daily", "") }, "#daily lies in it"},
		"a snapshot of it": {func(_ *world, z *zfsTool, layer, _ string) { z.add(layer+"@daily", "") }, "somebody took this snapshot"},
		"a hold": {func(_ *world, z *zfsTool, layer, _ string) {
			z.add(layer+"@12", "")
			z.Of(layer + "@12").Holds = 1
		}, "somebody holds this snapshot"},
		"a clone of it": {func(_ *world, z *zfsTool, layer, _ string) {
			z.add(layer+"@12", "")
			z.add("tank/other", layer+"@12")
		}, "tank/other was cloned of it"},
		"no zfs":   {func(_ *world, z *zfsTool, _, _ string) { z.Err = fmt.Errorf("zfs: %w", tool.ErrMissing) }, "zfsutils-linux"},
		"a daemon": {func(w *world, _ *zfsTool, _, _ string) { w.Host.Online = true }, "only while Docker is stopped"},
		"somebody": {func(w *world, _ *zfsTool, _, _ string) { w.Host.InUse = []string{"dockerd 7 starts"} }, "dockerd 7 starts"},
	} {
		t.Run(name, func(t *testing.T) {
			w, z, r, held, layer, init := quarantinedDataset(t)
			test.do(w, z, layer, init)
			pool := w.zpool()
			z.did = nil
			purged, err := r.Purge(t.Context(), held)
			assert.ErrorContains(t, err, test.says)
			assert.Equal(t, len(purged), 0)
			assert.DeepEqual(t, w.zpool(), pool)
			assert.Equal(t, len(z.did), 0, "%v", z.did)
		})
	}
}

// add adds a dataset to the pool.
func (z *zfsTool) add(name, origin string) {
	z.Datasets = append(z.Datasets, zfs.Dataset{Name: name, Origin: origin, GUID: uint64(1000 + len(z.Datasets)), Created: time.Unix(1, 0)})
}

// Docker may have been killed before it marked a snapshot to go with its clone:
// it goes with it nonetheless, unless something else was cloned of it, or
// somebody holds it. One that has no clone goes with the layer that it is of.
func TestDatasetsSnapshots(t *testing.T) {
	for name, test := range map[string]struct {
		do    func(z *zfsTool, origin string)
		stays bool
	}{
		"alone":         {func(*zfsTool, string) {}, false},
		"another clone": {func(z *zfsTool, origin string) { z.add(testkit.ParentDataset+"/other", origin) }, true},
		"a hold":        {func(z *zfsTool, origin string) { z.Of(origin).Holds = 1 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, z, r, held, layer, init := quarantinedDataset(t)
			origin := z.Dataset(init).Origin // of a layer that lives
			z.Of(origin).Stays = true
			z.add(layer+"@12", "")
			test.do(z, origin)
			_, err := r.Purge(t.Context(), held)
			assert.NilError(t, err)
			assert.Equal(t, z.Dataset(origin) != nil, test.stays)
			for _, d := range w.Pools.Datasets {
				assert.Assert(t, !strings.Contains(d.Name, "docker-orphans"), d.Name)
			}
		})
	}
}

// A dataset that is not what was confirmed any more right before it is taken
// stays, and so does one whose new name is taken.
func TestDatasetsChanged(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(z *zfsTool, d *zfs.Dataset)
		says string
	}{
		"another":    {func(_ *zfsTool, d *zfs.Dataset) { d.GUID = 99 }, "is not what was shown"},
		"the origin": {func(_ *zfsTool, d *zfs.Dataset) { d.Origin = testkit.ParentDataset + "/x@1" }, "has changed since"},
		"mounted":    {func(z *zfsTool, d *zfs.Dataset) { z.Of(d.Name).Mounted = true }, "is mounted"},
		"snapshot":   {func(z *zfsTool, d *zfs.Dataset) { z.add(d.Name+"@daily", "") }, "somebody took this snapshot"},
		"gone":       {func(_ *zfsTool, d *zfs.Dataset) { d.Name += "x" }, "file does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			w, z := zfsWorld(t)
			plan, owner := w.plan(prune.Options{Named: true, Take: func(f *scan.Finding) bool { return f.Type == scan.TypeRWLayer }})
			target, changed := plan.Steps[0].Moves[0].Dataset.Name, false
			z.before = func(line string) {
				if !changed && strings.HasSuffix(line, " -- "+target) {
					changed = true
					test.do(z, z.Dataset(target))
				}
			}
			result, err := w.zfsRunner(z).Execute(t.Context(), plan, owner)
			assert.NilError(t, err)
			assert.Equal(t, result.Outcomes[0].End, journal.Skipped)
			assert.Assert(t, strings.Contains(result.Outcomes[0].Reason, test.says), result.Outcomes[0].Reason)
			assert.Assert(t, changed)
			assert.Equal(t, len(z.did), 0, "%v", z.did)
		})
	}
}

// A dataset whose name was given to another between the look and the rename is
// renamed back, whatever it is.
func TestDatasetsSwapped(t *testing.T) {
	w, z := zfsWorld(t)
	plan, owner := w.plan(prune.Options{Named: true, Take: func(f *scan.Finding) bool { return f.Type == scan.TypeRWLayer }})
	name := plan.Steps[0].Moves[0].Dataset.Name
	z.before = func(line string) {
		if strings.HasPrefix(line, "rename -- "+name) {
			z.Dataset(name).GUID = 99
		}
	}
	result, err := w.zfsRunner(z).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Equal(t, result.Outcomes[0].End, journal.Skipped)
	assert.Equal(t, z.Dataset(name).GUID, uint64(99))
	assert.Equal(t, len(z.did), 2, "%v", z.did)
}

// A daemon that is started in the middle has no dataset renamed or destroyed.
func TestDatasetsBesideDaemon(t *testing.T) {
	w, z := zfsWorld(t)
	plan, owner := w.plan(byName())
	r := w.zfsRunner(z)
	pool := w.zpool()
	look := r.Look
	looks := 0
	r.Look = func(ctx context.Context, run string, named map[scan.Node]bool, walked func(*scan.Object) *scan.Usage) (*prune.Sight, error) {
		if looks++; looks == 2 { // the first is before anything is touched
			w.Host.InUse = []string{"dockerd 7 starts"}
		}
		return look(ctx, run, named, walked)
	}
	_, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.DeepEqual(t, w.zpool(), pool)
	assert.Equal(t, len(z.did), 0, "%v", z.did)
}

// A name that was taken meanwhile stays whose it is.
func TestDatasetsTaken(t *testing.T) {
	w, z, r, held, _, _ := quarantinedDataset(t)
	z.add(held[0].Step.Moves[1].Dataset.Name, "")
	pool := w.zpool()
	_, err := r.Restore(t.Context(), held)
	assert.ErrorContains(t, err, "another dataset is there now")
	assert.DeepEqual(t, w.zpool(), pool)
}

// Whatever command fails, and whenever the process ends: no dataset goes but
// those that were to, none of what lives is touched, and the next run ends what
// was begun.
func TestDatasetsEveryFault(t *testing.T) {
	for _, kind := range []string{"fails", "fails late", "killed"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for n, more := 1, true; more; n++ {
				more = datasetFault(t, kind, n)
				assert.Assert(t, more || n > 20, "only %d commands", n)
			}
		})
	}
}

func datasetFault(t *testing.T, kind string, n int) (more bool) {
	w, z := zfsWorld(t)
	w.Pools.Of(w.Pools.Datasets[0].Name) // there are states
	pool, before := w.zpool(), w.manifest()
	z.fail, z.late, z.killing = n, kind == "fails late", kind == "killed"
	plan, owner := w.plan(byName())
	all := slices.Concat(datasets(&plan, journal.Dataset), datasets(&plan, journal.Quarantine))
	gone := datasets(&plan, journal.Dataset)
	r := w.zfsRunner(z)
	_, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	more = z.calls >= n
	w.assertAlive(pool, all, fmt.Sprint(kind, " at ", n))

	z.fail, z.killing, z.killed = 0, false, false
	_, err = r.Recover(t.Context())
	assert.NilError(t, err, "%s at %d", kind, n)
	again, owner := w.plan(byName()) // what was not begun
	_, err = r.Execute(t.Context(), again, owner)
	assert.NilError(t, err, "%s at %d", kind, n)
	w.assertAlive(pool, all, fmt.Sprint(kind, " at ", n))
	held, err := r.Held()
	assert.NilError(t, err)
	_, err = r.Restore(t.Context(), held)
	assert.NilError(t, err, "%s at %d", kind, n)
	assert.DeepEqual(t, w.zpool(), w.destroyed(pool, gone...))
	assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Dataset)...))
	return more
}

// assertAlive asserts that every dataset is there as it was but some.
func (w *world) assertAlive(pool map[string]string, but []string, when string) {
	w.t.Helper()
	is := w.zpool()
	for name, what := range w.destroyed(pool, but...) {
		assert.Equal(w.t, is[name], what, "%s: %s", when, name)
	}
}

// Restore and purge, too, can fail or end at any command.
func TestDatasetsEveryFaultOfRestore(t *testing.T) {
	for _, what := range []string{"restore", "purge"} {
		for _, kind := range []string{"fails", "fails late", "killed"} {
			t.Run(what+"/"+kind, func(t *testing.T) {
				t.Parallel()
				for n, more := 1, true; more; n++ {
					more = datasetRestoreFault(t, what, kind, n)
					assert.Assert(t, more || n > 6, "only %d commands", n)
				}
			})
		}
	}
}

func datasetRestoreFault(t *testing.T, what, kind string, n int) (more bool) {
	w, z, r, held, _, init := quarantinedDataset(t)
	pool := w.zpool()
	z.Of(z.Dataset(init).Origin).Stays = true // there is one command more to fail
	was := map[string]string{}
	for _, m := range held[0].Step.Moves {
		if m.Dataset.Name != "" {
			was[m.Dataset.Name] = fmt.Sprint(m.Dataset.GUID, " ", m.Dataset.Origin)
		}
	}
	act := func() error {
		held, err := r.Held()
		assert.NilError(t, err)
		if what == "restore" {
			_, err = r.Restore(t.Context(), held)
		} else {
			_, err = r.Purge(t.Context(), held)
		}
		return err
	}
	z.calls, z.fail, z.late, z.killing = 0, n, kind == "fails late", kind == "killed"
	_ = act() // what came of it is seen below
	more = z.calls >= n
	z.fail, z.killing, z.killed = 0, false, false
	_, err := r.Recover(t.Context())
	assert.NilError(t, err, "%s %s at %d", what, kind, n)
	assert.NilError(t, act())
	is := w.zpool()
	for name, what := range is {
		assert.Assert(t, !strings.Contains(name, "docker-orphans") && !strings.Contains(what, "docker-orphans"), "%s at %d: %s", kind, n, name)
	}
	for name, identity := range was {
		if what == "restore" {
			assert.Equal(t, is[name], identity)
		} else {
			assert.Equal(t, is[name], "")
		}
	}
	lost := 0
	for name := range pool {
		if _, ok := is[name]; !ok && !strings.Contains(name, "docker-orphans") {
			lost++
		}
	}
	if what == "restore" {
		assert.Equal(t, lost, 0, "%s at %d", kind, n)
	} else {
		assert.Equal(t, lost, 1, "%s at %d: the snapshot that it began as, and nothing else", kind, n)
	}
	return more
}

// A real root's datasets go in the order that zfs wants, and exactly the
// orphans do.
func TestDatasetsOfRealRoot(t *testing.T) {
	c, want := testkit.Unpack(t, "../testdata/roots", "zfs")
	w := &world{Case: c, t: t}
	z := &zfsTool{Pools: &w.Pools}
	options := byName()
	options.Purge = true
	plan, owner := w.plan(options)
	result, err := w.zfsRunner(z).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	for _, o := range result.Outcomes {
		assert.Equal(t, o.End, journal.Freed, "%s: %s", plan.Step(o.Step).Finding, o.Reason)
	}
	for id, layer := range want.DriverLayers {
		there := w.Pools.Dataset(testkit.ParentDataset+"/"+id) != nil
		assert.Equal(t, there, layer.State != "orphan", "%s is %s", id, layer.State)
	}
	for _, d := range w.Pools.Datasets {
		assert.Assert(t, !strings.Contains(d.Name, "docker-orphans"), d.Name)
	}
	for _, line := range z.did {
		assert.Assert(t, !strings.Contains(line, " -r") && !strings.Contains(line, " -R") && !strings.Contains(line, " -f"), line)
	}
}

// A journal that names a dataset that is not the layer's is none of ours.
func TestDatasetsJournal(t *testing.T) {
	for _, name := range []string{"tank/docker/other", "base", "tank/docker/layer@1"} {
		record := journal.Record{Version: journal.Version, Kind: journal.Begun, Plan: &journal.Plan{Version: journal.DatasetsVersion, Steps: []journal.Step{{
			ID: 1, Objects: []*scan.Object{{Node: scan.Node{Kind: scan.KindLayer}}}, Moves: []journal.Move{{From: "zfs/graph/" + filepath.Base(strings.TrimSuffix(name, "other")), Dataset: journal.DatasetIdentity{Name: name}}},
		}}}}
		line, err := record.Line()
		assert.NilError(t, err)
		_, err = journal.Parse("run", line)
		assert.ErrorContains(t, err, "is not the dataset of", "%s", name)
	}
}
