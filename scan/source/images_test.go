package source

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
)

// A countingTree counts how often image configs are read.
type countingTree struct {
	scan.Tree
	configs int
}

func (c *countingTree) ReadFile(name string, limit int64) ([]byte, error) {
	if strings.Contains(name, "/imagedb/content/") {
		c.configs++
	}
	return c.Tree.ReadFile(name, limit)
}

// The images on which the layers of vanished containers lie are read once for all
// containers, however many there are.
func TestImagesAreReadOnce(t *testing.T) {
	root := t.TempDir()
	base := digest.FromString("base")
	putDirs(t, root, "containers/"+hex3)
	putChain(t, root, "vfs", hex1, base)
	const images, containers = 3, 5
	for i := range images {
		data := fmt.Sprintf(`{"rootfs":{"diff_ids":["%s"]},"config":{"Labels":{"n":"%d"}}}`, base, i)
		putFile(t, root, "image/vfs/imagedb/content/sha256/"+digest.FromString(data).Encoded(), data)
	}
	record := func(i int) scan.Node { return scan.MountNode("vfs", digest.FromString(fmt.Sprint(i)).Encoded()) }
	for i := range containers {
		putFile(t, root, record(i).Name+"/mount-id", digest.FromString(fmt.Sprint("layer", i)).Encoded())
		putFile(t, root, record(i).Name+"/parent", base.String())
	}
	putFile(t, root, "image/vfs/repositories.json", "{}")
	in, g := inputOf(t, root, backend.VFS)
	tree := &countingTree{Tree: in.Tree}
	in.Tree = tree
	for _, s := range []*scan.Source{LayerDB, ImageDB} {
		_, err := s.Collect(t.Context(), in, g)
		assert.NilError(t, err)
	}
	tree.configs = 0
	_, err := Containers.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.Equal(t, tree.configs, images)
	for i := range containers {
		labels := g.Object(record(i)).Note().Labels
		assert.Equal(t, 1+len(labels.More["n"]), images, "those of all of them")
	}
}
