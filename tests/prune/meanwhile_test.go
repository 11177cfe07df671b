//go:build linux

package prune_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// do carries out one statement of a root file.
func (w *world) do(statement string) {
	w.t.Helper()
	assert.NilError(w.t, w.Statement(statement))
}

// What happens between the looks of a run (rule 8 and 15). Each case says
// what happens before which look, and how the steps end; whatever is not
// freed must be as it was.
var meanwhile = []struct {
	name string
	root string
	at   int // the look before which it happens: 1 is the one before the first act, 2 the one after the renames
	what []string
	ends map[string]journal.End
	made string // what was made meanwhile and must be there
}{
	{
		name: "used before the first act", root: stray, at: 1,
		what: []string{"write image/DRIVER/layerdb/mounts/{id new}/mount-id \"{layer stray}\""},
		ends: map[string]journal.End{"layer {layer stray}": journal.Skipped, "layer {layer over}": journal.Freed},
	},
	{
		name: "touched before the first act", root: stray, at: 1,
		what: []string{"mkdir LAYERS/{layer over}/merged"},
		ends: map[string]journal.End{"layer {layer stray}": journal.Skipped, "layer {layer over}": journal.Skipped},
	},
	{
		name: "gone before the first act", root: stray, at: 1,
		what: []string{"rm LAYERS/{layer over}", "rm LAYERS/l/{link over}"},
		ends: map[string]journal.End{"layer {layer stray}": journal.Skipped, "layer {layer over}": journal.Skipped},
	},
	{
		name: "asked for after the renames", root: stray, at: 2,
		what: []string{"write image/DRIVER/layerdb/mounts/{id new}/mount-id \"{layer over}\""},
		ends: map[string]journal.End{"layer {layer stray}": journal.PutBack, "layer {layer over}": journal.PutBack},
	},
	{
		name: "what lies below is asked for after the renames", root: stray, at: 2,
		what: []string{"write image/DRIVER/layerdb/mounts/{id new}/mount-id \"{layer stray}\""},
		ends: map[string]journal.End{"layer {layer stray}": journal.PutBack, "layer {layer over}": journal.Freed},
	},
	{
		name: "a layer lies on it since the renames", root: stray, at: 2,
		what: []string{
			"write LAYERS/{id new}/lower \"l/{link stray}\"", "mkdir LAYERS/{id new}/diff", "mkdir LAYERS/{id new}/work",
			"write image/DRIVER/layerdb/mounts/{id record}/mount-id \"{id new}\"",
		},
		ends: map[string]journal.End{"layer {layer stray}": journal.PutBack, "layer {layer over}": journal.Freed},
	},
	{
		name: "a source cannot be read after the renames", root: stray, at: 2,
		what: []string{"rm image/DRIVER/layerdb/sha256/{chain app 1}/cache-id"},
		ends: map[string]journal.End{"layer {layer stray}": journal.PutBack, "layer {layer over}": journal.PutBack},
	},
	{
		name: "the same path is made anew after the renames", root: "image app: base top\ncontainer web app\nwrite tmp/GetImageBlob5 \"old\"\nonline\n", at: 2,
		what: []string{"write tmp/GetImageBlob5 \"new\""},
		ends: map[string]journal.End{"download GetImageBlob5": journal.Freed}, made: "tmp/GetImageBlob5",
	},
}

const stray = `
image app: base top
container web app
layer stray on base
layer over on stray
online
`

func TestMeanwhile(t *testing.T) {
	for _, c := range meanwhile {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "overlay2", c.root)
			before := w.manifest()
			w.atLook = func(n int) {
				for _, s := range c.what {
					if n == c.at {
						w.do(s)
					}
				}
			}
			plan, owner := w.plan(prune.Options{})
			result, err := w.runner(w.disk()).Execute(t.Context(), plan, owner)
			assert.NilError(t, err)
			assert.DeepEqual(t, w.ends(result), c.ends)
			after := w.manifest()
			for i, o := range result.Outcomes {
				for _, m := range plan.Steps[i].Moves {
					if _, there := after[m.From]; there && o.End != journal.Freed {
						assert.Equal(t, after[m.From], before[m.From], m.From)
					}
				}
			}
			if c.made != "" {
				assert.Assert(t, after[c.made] != "", "%s is gone", c.made)
			}
		})
	}
}

// A run looks again once a batch: what is in use by then is not taken.
func TestBatch(t *testing.T) {
	w := newWorld(t, "overlay2", stray+"layer other on base\n")
	r := w.runner(w.disk())
	r.Policy.BatchSteps = 1
	w.atLook = func(n int) {
		if n == 2 { // after the first step
			w.do("write image/DRIVER/layerdb/mounts/{id new}/mount-id \"{layer other}\"")
		}
	}
	plan, owner := w.plan(prune.Options{})
	assert.Equal(t, len(plan.Steps), 3)
	last := slices.IndexFunc(plan.Steps, func(s prune.Step) bool { return w.Symbols(s.Finding) == "{layer other}" })
	assert.Assert(t, last > 0, "the first step is no test:\n%s", plan.String())
	result, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Equal(t, result.Outcomes[last].End, journal.Skipped, "%v", result.Outcomes)
	assert.Assert(t, w.looks >= 3, "%d looks", w.looks)
}

// The second look is no sooner than the policy says after the first (rule 8).
func TestSecondLookIsLater(t *testing.T) {
	w := newWorld(t, "overlay2", stray)
	r := w.runner(w.disk())
	r.Policy.Between = 300 * time.Millisecond
	plan, owner := w.plan(prune.Options{})
	var at time.Time
	w.atLook = func(n int) {
		if n == 1 {
			at = time.Now()
		}
	}
	_, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Assert(t, at.Sub(plan.Made) >= r.Policy.Between, "%s", at.Sub(plan.Made))
}

// A swap between the look and the rename is swapped back.
func TestSwappedInBetween(t *testing.T) {
	w := newWorld(t, "overlay2", stray)
	before := w.manifest()
	disk := &swappingDisk{Disk: w.disk(), swap: func() {
		path := filepath.Join(w.Dir, "overlay2", w.id("{layer over}"))
		assert.NilError(t, os.Rename(path, path+".mine"))
		assert.NilError(t, os.MkdirAll(filepath.Join(path, "diff"), 0o711))
	}}
	plan, owner := w.plan(prune.Options{})
	result, err := w.runner(disk).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Equal(t, w.ends(result)["layer {layer over}"], journal.Skipped)
	assert.Equal(t, w.ends(result)["layer {layer stray}"], journal.Skipped)
	name := "overlay2/" + w.id("{layer over}")
	assert.Equal(t, w.manifest()[name+"/diff"], "drwx--x--x")
	assert.Equal(t, w.manifest()[name+".mine/lower"], before[name+"/lower"])
}

// A swappingDisk changes something right before its first rename.
type swappingDisk struct {
	prune.Disk
	swap func()
}

func (d *swappingDisk) Rename(from, to string) error {
	if d.swap != nil {
		d.swap()
		d.swap = nil
	}
	return d.Disk.Rename(from, to)
}

func (w *world) id(symbol string) string {
	id, err := w.Expand(symbol)
	assert.NilError(w.t, err)
	return id
}

// A daemon that was started anew has other things in memory: what was taken
// goes back.
func TestDaemonRestarts(t *testing.T) {
	for at, want := range map[int]journal.End{1: journal.Skipped, 2: journal.PutBack} {
		w := newWorld(t, "overlay2", stray)
		before := w.manifest()
		plan, owner := w.plan(prune.Options{})
		w.atLook = func(n int) {
			if n == at {
				w.Host.Owner = &scan.Process{PID: 2, Name: "dockerd", Started: time.Now()}
			}
		}
		result, err := w.runner(w.disk()).Execute(t.Context(), plan, owner)
		if at == 1 {
			assert.ErrorContains(t, err, "the daemon was stopped or started meanwhile")
		} else {
			assert.NilError(t, err)
			assert.Equal(t, result.Outcomes[0].End, want)
			assert.Assert(t, result.Stopped != "" && result.Partly())
		}
		assert.DeepEqual(t, w.manifest(), before)
	}
}

// Ctrl-C puts back what was taken.
func TestInterrupted(t *testing.T) {
	w := newWorld(t, "overlay2", stray)
	before := w.manifest()
	plan, owner := w.plan(prune.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	w.atLook = func(n int) {
		if n == 2 {
			cancel()
		}
	}
	r := w.runner(w.disk())
	look := r.Look
	r.Look = func(ctx context.Context, run string, named map[scan.Node]bool, walked func(*scan.Object) *scan.Usage) (*prune.Sight, error) {
		seen, err := look(ctx, run, named, walked)
		if err == nil {
			err = ctx.Err()
		}
		return seen, err
	}
	result, err := r.Execute(ctx, plan, owner)
	assert.NilError(t, err)
	assert.Equal(t, result.Outcomes[0].End, journal.PutBack)
	assert.DeepEqual(t, w.manifest(), before)
}

// The plan is on stable storage before anything is renamed, and what was
// looked at before anything is unlinked (rule 10).
func TestJournalComesFirst(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	disk := &faultyDisk{Disk: w.disk()}
	plan, owner := w.plan(prune.Options{})
	_, err := w.runner(disk).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	var order []string
	for _, op := range disk.ops {
		word, _, _ := strings.Cut(op, " ")
		if strings.HasPrefix(op, "remove tree") {
			word = "unlink"
		}
		if word != "mkdir" && word != "sync" && word != "remove" && (len(order) == 0 || order[len(order)-1] != word) {
			order = append(order, word)
		}
	}
	assert.DeepEqual(t, order, []string{"append", "rename", "append", "unlink", "append"})
}

// What changes while others are taken is seen right before its own turn, by
// its change time (rule 8).
func TestChangedRightBefore(t *testing.T) {
	w := newWorld(t, "overlay2", stray+"layer other on base\n")
	plan, owner := w.plan(prune.Options{})
	last := plan.Steps[len(plan.Steps)-1]
	disk := &swappingDisk{Disk: w.disk(), swap: func() {
		assert.NilError(t, os.Mkdir(filepath.Join(w.Dir, last.Moves[0].From, "merged"), 0o700))
	}}
	result, err := w.runner(disk).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Equal(t, result.Outcomes[0].End, journal.Freed)
	assert.Equal(t, result.Outcomes[len(plan.Steps)-1].End, journal.Skipped, "%v", result.Outcomes)
}
