package plugin

import (
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/source"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// everyDrawnRoot gives a test each root that is drawn as text, with one of the
// storage drivers that it is drawn for.
func everyDrawnRoot(t *testing.T, test func(t *testing.T, c *testkit.Case)) {
	files, err := filepath.Glob("../tests/roots/*.txtar")
	assert.NilError(t, err)
	assert.Assert(t, len(files) > 50)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			assert.NilError(t, err)
			c, err := testkit.Run(t.TempDir(), testkit.DrawnFor(archive), string(archive.Files[0].Data))
			assert.NilError(t, err)
			test(t, c)
		})
	}
}

// unprotected is what `prune --filter label!=protected` takes of a root, and
// all else that could be named, by its first part.
func unprotected(t *testing.T, g *scan.Graph, findings []scan.Finding) (taken map[scan.Node]bool) {
	t.Helper()
	var f filter
	assert.NilError(t, f.Set("label!=protected"))
	plan := prune.NewPlan(g, findings, prune.Options{Take: func(found *scan.Finding) bool { return f.matchName(found, &g.Host) }})
	taken = map[scan.Node]bool{}
	for i := range plan.Steps {
		for _, o := range plan.Steps[i].Objects {
			taken[o.Node] = true
		}
	}
	return taken
}

// needed is what these nodes need, directly or not, and they themselves.
func needed(g *scan.Graph, nodes ...scan.Node) map[scan.Node]bool {
	to := map[scan.Node][]scan.Node{}
	for r := range g.Refs {
		to[r.From] = append(to[r.From], r.To)
	}
	seen := map[scan.Node]bool{}
	for len(nodes) > 0 {
		n := nodes[0]
		if nodes = nodes[1:]; !seen[n] {
			seen[n] = true
			nodes = append(nodes, to[n]...)
		}
	}
	return seen
}

// A label anywhere never adds to what is removed under label!=, and neither
// what carries it nor anything below it goes.
func TestLabelProtects(t *testing.T) {
	everyDrawnRoot(t, func(t *testing.T, c *testkit.Case) {
		g, findings := testkit.Judge(t, c)
		before := unprotected(t, g, findings)
		for i := range g.Objects {
			o := &g.Objects[i]
			was := o.Notes
			if was != nil {
				notes := *was
				o.Notes = &notes
			}
			labels := &o.Annotate().Labels
			for _, known := range []bool{labels.Known, true} {
				*labels = scan.Labels{Known: known, Values: map[string]string{"protected": "true"}}
				labeled := scan.Classify(g, c.Policy)
				after := unprotected(t, g, labeled)
				for n := range after {
					assert.Assert(t, before[n], "with a label on %s, %s goes", o.Name, n.Name)
				}
				for j := range labeled {
					if f := &labeled[j]; f.Labels.Have("protected", nil) {
						for n := range needed(g, f.Parts[0].Node) {
							assert.Assert(t, !after[n], "%s has the label, and %s goes", f.ID, n.Name)
						}
					}
				}
			}
			o.Notes = was
		}
	})
}

// A line of a keep list never adds to what is removed, and neither what it names
// nor anything below goes.
func TestKeepListProtects(t *testing.T) {
	everyDrawnRoot(t, func(t *testing.T, c *testkit.Case) {
		g, findings := testkit.Judge(t, c)
		before := unprotected(t, g, findings)
		for i := range findings {
			for _, o := range findings[i].Parts {
				in := testkit.Input(t, c)
				in.KeepList = []scan.KeepEntry{{Pattern: path.Base(o.Name), Where: "a test"}}
				kept := scan.Scan(t.Context(), in, source.All)
				again, err := scan.Judge(t.Context(), in, kept, c.Policy)
				assert.NilError(t, err)
				after := unprotected(t, kept, again)
				for n := range after {
					assert.Assert(t, before[n], "with %s kept, %s goes", o.Name, n.Name)
				}
				for n := range needed(kept, o.Node) {
					assert.Assert(t, !after[n], "%s is kept, and %s goes", o.Name, n.Name)
				}
			}
		}
	})
}
