package scan

import (
	"testing"

	"gotest.tools/v3/assert"
)

// What a live thing needs and is not there is lost, what an orphan needs is
// not; and what the daemon knows and the disk does not is.
func TestLost(t *testing.T) {
	g := NewGraph()
	g.Add(Object{Node: Node{KindLayer, "overlay2/a"}})
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

// What only the daemon's memory keeps is an orphan once it was restarted.
func TestRestarted(t *testing.T) {
	g := NewGraph()
	g.Host.Owner = nil // offline: age is not asked
	for _, need := range ContractOf(TypeImageLayer).Needs {
		g.Reports = append(g.Reports, Report{Source: need, Complete: true})
	}
	for _, chain := range []string{"a", "b", "c"} {
		n := ChainNode("overlay2", chain)
		g.Add(Object{Node: n})
	}
	assert.Check(t, Restarted(g, Policy{}) == nil)
	memory := Node{KindMemory, "image/overlay2/layerdb/mounts/x"}
	g.Live(memory, "mount record x until the daemon restarts", "journal")
	g.Refer(memory, ChainNode("overlay2", "a"), ByParent)
	g.Refer(memory, ChainNode("overlay2", "b"), ByParent)
	g.Live(ImageNode("sha256:1"), "image", "API")
	g.Refer(ImageNode("sha256:1"), ChainNode("overlay2", "b"), ByDiffIDs)
	verdicts := map[string]Verdict{}
	for _, f := range Restarted(g, Policy{}) {
		verdicts[f.ID] = f.Verdict
	}
	assert.DeepEqual(t, verdicts, map[string]Verdict{"a": Orphan, "b": Used, "c": Orphan})
	for _, f := range Classify(g, Policy{}) {
		assert.Equal(t, f.Verdict == Orphan, f.ID == "c")
	}
	assert.Equal(t, len(g.Marks), 2, "the graph is as it was")
}
