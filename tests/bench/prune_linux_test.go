package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/source"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// What BenchmarkPrune removes.
const (
	orphans = 1000
	files   = 100 // in each
)

// BenchmarkPrune removes 1,000 orphans of 100 files with all that makes it
// safe, and lets rm -rf remove the same directories. The two looks that come
// before the first act, and the time between them, cost the same for one
// orphan; safety/rm is all that is done after them over what rm takes. Of it,
// looks-s are the looks once a batch, and syncs-s what the disk takes to say that
// something is on it, which depends on who else writes to it.
func BenchmarkPrune(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Fatal("needs root")
	}
	var pruning, looking, syncing, removing time.Duration
	b.ResetTimer()
	for b.Loop() {
		b.StopTimer()
		w, plain := newWorld(b), newWorld(b)
		layers, err := filepath.Glob(filepath.Join(plain.Dir, "overlay2/*"))
		assert.NilError(b, err)
		syscall.Sync()
		b.StartTimer()
		plan, owner := w.plan(b)
		assert.Equal(b, len(plan.Steps), orphans)
		r := w.runner(b)
		pruning += timed(func() {
			result, err := r.Execute(b.Context(), plan, owner)
			assert.NilError(b, err)
			for _, o := range result.Outcomes {
				assert.Equal(b, o.End, journal.Freed, "%s", o.Reason)
			}
		})
		pruning -= w.looks[0]
		syncing += w.syncs
		for _, look := range w.looks[1:] {
			looking += look
		}
		removing += timed(func() { run(b, "rm", append([]string{"-rf"}, layers...)...) })
	}
	n := float64(b.N)
	b.ReportMetric(pruning.Seconds()/n, "prune-s/op")
	b.ReportMetric(looking.Seconds()/n, "looks-s/op")
	b.ReportMetric(syncing.Seconds()/n, "syncs-s/op")
	b.ReportMetric(removing.Seconds()/n, "rm-s/op")
	b.ReportMetric(pruning.Seconds()/removing.Seconds(), "safety/rm")
}

// A world is a data root full of orphans, and how long each look at it took.
type world struct {
	*testkit.Case
	sources []*scan.Source
	looks   []time.Duration
	syncs   time.Duration // what the disk took to have things on stable storage
}

// A syncingDisk measures that.
type syncingDisk struct {
	prune.Disk
	took *time.Duration
}

func (d syncingDisk) Append(name string, data []byte) (err error) {
	*d.took += timed(func() { err = d.Disk.Append(name, data) })
	return err
}

func (d syncingDisk) Sync(dir string) (err error) {
	*d.took += timed(func() { err = d.Disk.Sync(dir) })
	return err
}

func newWorld(b *testing.B) *world {
	c, err := testkit.Run(filepath.Join(b.TempDir(), "root"), "overlay2", "image app: base top\ncontainer web app\n")
	assert.NilError(b, err)
	for i := range orphans {
		name := "stray" + strconv.Itoa(i)
		assert.NilError(b, c.Layer(name, testkit.ID(name)))
		for f := range files - 1 {
			assert.NilError(b, os.WriteFile(filepath.Join(c.Dir, "overlay2", testkit.ID(name), "diff", fmt.Sprint(f)), nil, 0o600))
		}
	}
	assert.NilError(b, c.Statement("online"))
	return &world{Case: c, sources: source.Again()}
}

func (w *world) look(b *testing.B, run string, named map[scan.Node]bool, walked func(*scan.Object) *scan.Usage) *prune.Sight {
	in := testkit.Input(b, w.Case)
	in.Run, in.Named = run, named
	seen := &prune.Sight{Input: in, Graph: scan.Scan(b.Context(), in, w.sources)}
	for i := range seen.Graph.Objects {
		if o := &seen.Graph.Objects[i]; walked != nil && o.Usage == nil {
			o.Usage = walked(o)
		}
	}
	policy := scan.Policy{Now: time.Now(), Grace: scan.DefaultGrace}
	if walked != nil {
		seen.Findings = scan.Classify(seen.Graph, policy)
		return seen
	}
	var err error
	seen.Findings, err = scan.Judge(b.Context(), in, seen.Graph, policy)
	assert.NilError(b, err)
	return seen
}

func (w *world) plan(b *testing.B) (prune.Plan, *scan.Process) {
	seen := w.look(b, "", nil, nil)
	return prune.NewPlan(seen.Graph, seen.Findings, prune.Options{}), seen.Graph.Host.Owner
}

// runner removes with the defaults, but for the wait.
func (w *world) runner(b *testing.B) *prune.Runner {
	dir, err := filepath.EvalSymlinks(w.Dir)
	assert.NilError(b, err)
	unlock, err := prune.Lock(dir)
	assert.NilError(b, err)
	b.Cleanup(func() { _ = unlock() })
	disk, done, err := prune.OpenDisk(dir, testkit.Input(b, w.Case).Proc)
	assert.NilError(b, err)
	b.Cleanup(func() { _ = done() })
	read, err := tree.Open(dir)
	assert.NilError(b, err)
	b.Cleanup(func() { _ = read.Close() })
	policy := prune.DefaultPolicy()
	policy.Between = 0
	return &prune.Runner{
		Tree: read, Disk: syncingDisk{disk, &w.syncs}, Policy: policy, Now: time.Now, Report: func(prune.Event) {},
		Look: func(_ context.Context, run string, named map[scan.Node]bool, walked func(*scan.Object) *scan.Usage) (seen *prune.Sight, _ error) {
			w.looks = append(w.looks, timed(func() { seen = w.look(b, run, named, walked) }))
			return seen, nil
		},
	}
}
