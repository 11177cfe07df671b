package scan

import (
	"testing"

	"gotest.tools/v3/assert"
)

// What a live thing needs and is not there is lost, what an orphan needs is
// not; and what the daemon knows and the disk does not is.
func TestLost(t *testing.T) {
	g := NewGraph()
	g.Add(Object{Node: Node{KindLayer, "overlay2/a"}, Paths: []string{"overlay2/a"}})
	image, gone := ImageNode("sha256:1"), ChainNode("overlay2", "ff")
	g.Refer(Node{KindLayer, "overlay2/a"}, Node{KindLayer, "overlay2/b"}, ByLower)
	assert.Equal(t, len(Lost(g, Policy{})), 0)
	g.Live(image, "image app:1", "GET /images/json")
	g.Refer(image, gone, ByDiffIDs)
	lost := Lost(g, Policy{})
	assert.Equal(t, len(lost), 1)
	assert.Equal(t, lost[0].Of, image)
	g.Doubt(Doubt{Source: SourceAPI, Where: "containers/1", Err: "the daemon knows it, and it is not on disk", Scope: Scope{Backend: "overlay2"}})
	assert.Equal(t, len(Lost(g, Policy{})), 2)
}

// Pinned is what would be an orphan if the daemon's memory were empty.
func TestPinned(t *testing.T) {
	g := NewGraph()
	g.Host.Owner = nil // offline: age is not asked
	for _, need := range ContractOf(TypeImageLayer).Needs {
		g.Reports = append(g.Reports, Report{Source: need, Complete: true})
	}
	for _, chain := range []string{"a", "b", "c"} {
		n := ChainNode("overlay2", chain)
		g.Add(Object{Node: n, Paths: []string{n.Name}})
	}
	assert.Equal(t, len(Pinned(g, Policy{})), 0)
	memory := Node{KindMemory, "image/overlay2/layerdb/mounts/x"}
	g.Live(memory, "mount record x until the daemon restarts", "journal")
	g.Refer(memory, ChainNode("overlay2", "a"), ByParent)
	g.Refer(memory, ChainNode("overlay2", "b"), ByParent)
	g.Live(ImageNode("sha256:1"), "image", "API")
	g.Refer(ImageNode("sha256:1"), ChainNode("overlay2", "b"), ByDiffIDs)
	pinned := Pinned(g, Policy{})
	assert.Equal(t, len(pinned), 1)
	assert.Equal(t, pinned[0].Parts[0].Name, "image/overlay2/layerdb/sha256/a")
	assert.Equal(t, len(g.Marks), 2, "the graph is as it was")
}
