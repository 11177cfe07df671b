package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// removing is a removal of the fixture's orphans, both, with what it prints.
func removing(t *testing.T, options removeOptions) (*removal, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	r := &removal{
		cli: newCLI(t, &out), options: &options, progress: &progress{}, policy: prune.DefaultPolicy(), seen: fixture(t),
	}
	r.taken = []*scan.Finding{r.seen.find(t, "1"), r.seen.find(t, "6")}
	r.makePlan(nil)
	return r, &out
}

func TestPlanTable(t *testing.T) {
	r, out := removing(t, removeOptions{})
	assert.NilError(t, writePlan(r))
	golden.Assert(t, out.String(), "plan.golden")
	assert.Check(t, !r.plan.Steps[0].Named)
	assert.Check(t, r.plan.Steps[1].Named, "what is no part of the default set is in the plan on request only")
}

func TestWarning(t *testing.T) {
	r, _ := removing(t, removeOptions{})
	w := r.warning()
	w.until = "2024-05-27 12:00 UTC"
	w.filters = []string{"label!=protected (0 carry that label)", "until=48h"}
	w.expired = breakdown{scan.TypeContainer: {2, 8192}}
	golden.Assert(t, w.text(), "warning.golden")
	w.dry = true
	assert.Check(t, strings.HasPrefix(w.text(), "This would remove:\n"))
	assert.Check(t, !strings.Contains(w.text(), "WARNING"))

	r, _ = removing(t, removeOptions{purge: true})
	w = r.warning()
	assert.Check(t, !strings.Contains(w.text(), "quarantine"), "%s", w.text())
	w = &warning{root: "/srv", expired: breakdown{scan.TypeRWLayer: {1, 1000}}}
	assert.Equal(t, w.text(), "WARNING! This will free for good, from quarantine:\n  - 1 rw-layer, 1kB\nData root: /srv\n")
}

// ended is a removal after a run with these ends of its steps.
func ended(t *testing.T, options removeOptions, outcomes ...prune.Outcome) (*removal, *aftermath, *bytes.Buffer) {
	t.Helper()
	r, out := removing(t, options)
	a := r.aftermath(nil)
	a.until = now.Add(7 * 24 * time.Hour)
	for i := range outcomes {
		outcomes[i].Step = i + 1
	}
	a.result = &prune.Result{Run: "20240520T120000-c0ffee", Plan: r.plan, Outcomes: outcomes}
	return r, a, out
}

func TestAftermath(t *testing.T) {
	_, a, _ := ended(t, removeOptions{},
		prune.Outcome{End: journal.Freed, Bytes: 5e6}, prune.Outcome{End: journal.Quarantined, Bytes: 2e6})
	a.purged, a.measured = sum{1, 1e6}, 6e6
	a.held, a.pinned, a.byRequest = sum{3, 4e6}, sum{2, 9e6}, sum{1, 7e6}
	golden.Assert(t, a.text(), "aftermath.golden")
	assert.Equal(t, len(a.skipped()), 0)
	a.unadded = true
	assert.Check(t, strings.Contains(a.text(), "  - 1 orphan that only you can judge"), a.text())

	_, a, _ = ended(t, removeOptions{},
		prune.Outcome{End: journal.Freed, Bytes: 500e6}, prune.Outcome{End: journal.Skipped, Reason: "it is used now\x1b"})
	a.measured = 100e6
	assert.Check(t, strings.Contains(a.text(), "The file system has 100MB more than before"), "%s", a.text())
	assert.DeepEqual(t, a.skipped(), []string{`Skipped: rw-layer 666666666666: it is used now\x1b`})
}

func TestRemovalJSON(t *testing.T) {
	r, a, out := ended(t, removeOptions{format: "json"},
		prune.Outcome{End: journal.Freed, Bytes: 5e6}, prune.Outcome{End: journal.Quarantined, Bytes: 2e6})
	assert.NilError(t, r.writeJSON(a))
	golden.Assert(t, out.String(), "removal-json.golden")
}

func TestRemovalStatus(t *testing.T) {
	broken := errors.New("journal: input/output error")
	for _, tc := range []struct {
		end     journal.End
		problem error
		changed int
		want    error
	}{
		{end: journal.Freed},
		{end: journal.Quarantined},
		{end: journal.Skipped, want: silentExit(exitPartly)},
		{end: journal.Freed, changed: 1, want: silentExit(exitPartly)},
		{end: journal.Freed, problem: broken, want: broken},
		{end: journal.Skipped, problem: broken, want: broken},
	} {
		r, a, _ := ended(t, removeOptions{}, prune.Outcome{End: tc.end}, prune.Outcome{End: journal.Freed})
		r.session, r.changed = &session{}, make([]prune.Change, tc.changed)
		assert.Check(t, errors.Is(r.status(t.Context(), a, tc.problem), tc.want), "%+v", tc)
	}
}

func TestBrakes(t *testing.T) {
	r, _ := removing(t, removeOptions{})
	assert.NilError(t, r.brake(t.Context()))
	lost := scan.ChainNode("overlay2", id64("f"))
	r.seen.graph.Refer(scan.ContainerNode(id64("c")), lost, scan.ByGraph) // the live container needs what is not there
	r.session, r.policy.Settle = &session{}, 0
	r.lost = func(context.Context) ([]scan.Doubt, error) { return nil, nil }
	assert.NilError(t, r.brake(t.Context()), "it was lost for a moment")
	r.lost = func(context.Context) ([]scan.Doubt, error) { return scan.Lost(r.seen.graph, r.seen.policy), nil }
	err := r.brake(t.Context())
	assert.ErrorContains(t, err, lost.Name)
	assert.Check(t, strings.HasSuffix(hints(err)[0], "--allow-damaged"), "%v", hints(err))
	r.session = nil // a preview
	assert.NilError(t, r.brake(t.Context()))
	r.session, r.options.allowDamaged = &session{}, true
	assert.NilError(t, r.brake(t.Context()))
}

// A run that would take most of a driver's layers asks with --force, and warns
// a person.
func TestMostAsks(t *testing.T) {
	r, _ := removing(t, removeOptions{force: true})
	r.seen, r.session = &look{graph: scan.NewGraph(), policy: r.seen.policy}, &session{}
	for i := range 50 {
		f := scan.Finding{ID: fmt.Sprint(i), Type: scan.TypeLayer, Verdict: scan.Orphan, Default: true}
		o := scan.Object{Node: layerNode(f.ID), Backend: "overlay2", Medium: scan.Directory}
		r.seen.graph.Add(o)
		f.Parts = []*scan.Object{&o}
		r.seen.findings = append(r.seen.findings, &f)
	}
	r.taken = r.seen.findings
	r.makePlan(nil)
	err := r.brake(t.Context())
	assert.Error(t, err, "50 of the 50 layers of overlay2 would go")
	assert.Check(t, strings.HasSuffix(hints(err)[0], "--allow-most"), "%v", hints(err))
	r.options.allowMost = true
	assert.NilError(t, r.brake(t.Context()))
	r.options = &removeOptions{}
	assert.NilError(t, r.brake(t.Context()), "a person is asked")
}

func TestRemoveOptions(t *testing.T) {
	for want, o := range map[string]removeOptions{
		"":                        {},
		"invalid --format table":  {format: "table"},
		"--format json asks":      {format: "json"},
		"both --keep and --purge": {keep: duration{value: time.Hour, set: true}, purge: true},
		"invalid --keep 0s":       {keep: duration{text: "0s", set: true}},
	} {
		if err := o.check(); want == "" {
			assert.NilError(t, err)
		} else {
			assert.ErrorContains(t, err, want)
		}
	}
}

// What the daemon counts until it restarts is told, as far as nothing else
// needs it then.
func TestPinned(t *testing.T) {
	for _, tc := range []struct {
		options removeOptions
		want    int
	}{
		{removeOptions{}, 1},            // the container's goes to quarantine, and needs its chain there
		{removeOptions{purge: true}, 2}, // nothing needs either
	} {
		r, _ := removing(t, tc.options)
		g := r.seen.graph
		need := func(chain string, from scan.Node) {
			node := scan.ChainNode("overlay2", id64(chain))
			g.Add(scan.Object{
				Node: node, Backend: "overlay2", Stamp: scan.Stamp{Birth: longAgo, Change: longAgo},
				Usage: &scan.Usage{Bytes: 100, Newest: longAgo, Complete: true},
			})
			g.Refer(from, node, scan.ByParent)
			g.Refer(scan.Node{Kind: scan.KindMemory, Name: "record"}, node, scan.ByParent)
		}
		need("8", scan.MountNode("overlay2", id64("6")))
		need("9", scan.Node{Kind: scan.KindMemory, Name: "another"})
		g.Live(scan.Node{Kind: scan.KindMemory, Name: "record"}, "mount record until the daemon restarts", "journal")
		pinned, err := r.pinned(t.Context())
		assert.NilError(t, err)
		assert.Equal(t, len(pinned), tc.want, "%+v", tc.options)
		assert.Equal(t, pinned[len(pinned)-1].ID, id64("9"))
	}
}
