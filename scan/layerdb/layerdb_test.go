package layerdb_test

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/layerdb"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// A chain that is longer than any image's is not read for ever.
func TestReadDepth(t *testing.T) {
	names := make([]string, layerdb.MaxDepth+1)
	for i := range names {
		names[i] = fmt.Sprint("l", i)
	}
	c, err := testkit.Run(t.TempDir(), "vfs", "image deep: "+strings.Join(names, " "))
	assert.NilError(t, err)
	tree := testkit.Input(t, c).Tree
	read := func(n int) ([]layerdb.Layer, error) {
		hex, err := c.Expand(fmt.Sprintf("{chain deep %d}", n))
		assert.NilError(t, err)
		return layerdb.Read(tree, "vfs", "sha256:"+hex)
	}
	layers, err := read(layerdb.MaxDepth)
	assert.NilError(t, err)
	assert.Equal(t, len(layers), layerdb.MaxDepth)
	_, err = read(layerdb.MaxDepth + 1)
	assert.ErrorContains(t, err, "deeper than any image")
}
