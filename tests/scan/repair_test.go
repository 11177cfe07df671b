package scan_test

import (
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// brokenImage is an image of which the layer in the middle is gone.
const brokenImage = `
image app: deep
container web app
image one: base only above
rm LAYERS/{layer only}
`

// A broken image is set aside with what lies on the layer that is gone.
func TestRepairs(t *testing.T) {
	c, r := repairsOf(t, brokenImage)
	assert.Equal(t, len(r.Left), 0)
	for chain, goes := range map[string]bool{"{chain one 1}": false, "{chain one 2}": true, "{chain one 3}": true} {
		id, err := c.Expand(chain)
		assert.NilError(t, err)
		assert.Equal(t, r.Layers[scan.ChainNode("vfs", id)], goes, chain)
	}
}

// What a container, another image, a build, or the memory of a daemon needs is
// not set aside, and then neither is the image.
func TestNotRepaired(t *testing.T) {
	const gone = "rm image/vfs/layerdb/sha256/{chain one 2}\n"
	for _, tc := range []struct{ name, more, why string }{
		{"a container", "container c one\n", "used by container c: remove that first"},
		{"a daemon", "online started=-1h\n", "the daemon has it in memory: docker rmi one:1, or stop Docker first"},
		{"a daemon that has not loaded it", gone + "online started=+1h\nforget {image one}\nnow +2h\n", "the daemon may have some of its layers in memory: stop Docker first"},
		{"a container of a layer above", gone + "container c one\nrm containers/{container c}\nwrite containers/{container c}/config.v2.json \"{\"\n", ""},
		{"another image, which a container needs", "image two: base only more\ncontainer c two\n", ""},
	} {
		c, r := repairsOf(t, brokenImage+tc.more)
		image, err := c.Expand("{image one}")
		assert.NilError(t, err)
		node := scan.ImageNode("sha256:" + image)
		at := slices.IndexFunc(r.Left, func(u scan.Unrepaired) bool { return u.Image == node })
		assert.Assert(t, at >= 0 && !r.Without[node] && len(r.Layers) == 0, tc.name)
		if tc.why != "" {
			assert.Equal(t, r.Left[at].Why, tc.why, tc.name)
		}
	}
}

func repairsOf(t *testing.T, script string) (*testkit.Case, *scan.Repairs) {
	t.Helper()
	c, err := testkit.Run(t.TempDir(), "vfs", script)
	assert.NilError(t, err)
	g, _ := testkit.Judge(t, c)
	return c, scan.FindRepairs(g, c.Policy)
}
