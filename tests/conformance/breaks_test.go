package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// Of a root in which nothing was lost no break is told; and whatever is lost of
// what is in use is told, as a break or as a doubt. What a build's database or a
// record of Docker before 1.10 names may be gone in good order.
func TestLossIsTold(t *testing.T) {
	eachSettled(t, func(t *testing.T, c *testkit.Case) {
		g, findings := testkit.Judge(t, c)
		tag := func(b scan.Break) bool { return b.Node.Kind == scan.KindImage } // whose image is removed in the drawing
		assert.Equal(t, len(slices.DeleteFunc(scan.Breaks(g), tag)), 0, "%v", scan.Breaks(g))
		if g.Host.Before110 {
			return
		}
		doubts, edges := len(g.Doubts), g.Edges()
		cases := 0
		for i := range findings {
			if findings[i].Verdict != scan.Used {
				continue
			}
			for _, o := range findings[i].Parts {
				record := o.Kind == scan.KindChain || o.Kind == scan.KindMount
				if !record && (o.Kind != scan.KindLayer || edges.Needed(o.Node, scan.BySnapshot)) {
					continue
				}
				for _, name := range o.Paths() {
					cases++
					back := lose(t, c, o, name)
					g, _ := testkit.Judge(t, c)
					if len(slices.DeleteFunc(scan.Breaks(g), tag)) == 0 && len(g.Doubts) <= doubts {
						t.Errorf("%s is lost, and nobody is told", c.Symbols(name))
					}
					back()
				}
			}
		}
		assert.Assert(t, cases > 0)
	})
}

// lose takes away what lies at one path of an object, or its dataset, until it
// is put back.
func lose(t *testing.T, c *testkit.Case, o *scan.Object, name string) (back func()) {
	t.Helper()
	if o.Medium == scan.Dataset {
		all := c.Pools.Datasets
		c.Pools.Datasets = slices.DeleteFunc(slices.Clone(all), func(d zfs.Dataset) bool { return d.Name == o.Note().Handle.Name })
		return func() { c.Pools.Datasets = all }
	}
	aside := filepath.Join(filepath.Dir(c.Dir), "aside")
	assert.NilError(t, os.Rename(filepath.Join(c.Dir, name), aside))
	return func() { assert.NilError(t, os.Rename(aside, filepath.Join(c.Dir, name))) }
}
