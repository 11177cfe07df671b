package prune

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// All that a storage driver left goes only if it is named, and has a brake of
// its own; what is only reported goes by no means.
func TestPlanOfBackends(t *testing.T) {
	g := scan.NewGraph()
	g.Host.Online = true
	tree, store := scan.Node{Kind: scan.KindBackend, Name: "vfs"}, scan.Node{Kind: scan.KindBackend, Name: "image/vfs"}
	findings := []scan.Finding{
		finding(g, scan.TypeBackend, tree, store),
		finding(g, scan.TypeRoot, scan.Node{Kind: scan.KindRoot, Name: "100000.100000"}),
		finding(g, scan.TypeLayer, layer("stray")),
	}
	findings[0].Backend = "vfs"
	const stray = "free layer overlay2/stray, no record names it; old\n"
	plan := NewPlan(g, findings, Options{})
	assert.Equal(t, plan.String(), "#1 "+stray)
	assert.Assert(t, Whole(&plan) == nil)

	plan = NewPlan(g, findings, Options{Take: func(*scan.Finding) bool { return true }})
	assert.Equal(t, plan.String(), "#1 quarantine backend vfs, no record names it; old\n#2 "+stray)
	assert.DeepEqual(t, Backends(&plan), []string{"vfs"})
	assert.Equal(t, Whole(&plan).Flag, AllowBackend)
	var moves []string
	for _, m := range plan.Steps[0].Moves {
		moves = append(moves, m.From)
	}
	assert.DeepEqual(t, moves, []string{"image/vfs", "vfs"})

	// Layers that are no directories do not go by being renamed.
	findings[0].Parts[0].Medium = "datasets"
	plan = NewPlan(g, findings, Options{Take: func(*scan.Finding) bool { return true }})
	assert.Equal(t, plan.String(), "#1 "+stray)
}
