package scan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"pgregory.net/rapid"
)

// The index finds what a look at every doubt finds, in the same order.
func TestDoubtsOfAGroup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		node := rapid.Custom(func(t *rapid.T) Node { return Node{KindLayer, fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "node"))} })
		backend := rapid.SampledFrom([]string{"", "vfs", "overlay2"})
		types := rapid.SliceOfN(rapid.SampledFrom([]Type{TypeLayer, TypeImageLayer}), 0, 2)
		var all []Doubt
		var index doubtIndex
		for i := range rapid.IntRange(0, 8).Draw(t, "doubts") {
			d := Doubt{Err: fmt.Sprint(i), Scope: Scope{
				Nodes: rapid.SliceOfN(node, 0, 3).Draw(t, "nodes"), Backend: backend.Draw(t, "backend"), Types: types.Draw(t, "types"),
			}}
			all = append(all, d)
			index.add(d)
		}
		var objects []*Object
		for _, n := range rapid.SliceOfN(node, 1, 3).Draw(t, "objects") {
			objects = append(objects, &Object{Node: n, Backend: backend.Draw(t, "its backend")})
		}
		var want []Doubt
		for _, d := range all {
			if slices.ContainsFunc(objects, func(o *Object) bool { return d.Scope.covers(o, TypeLayer) }) {
				want = append(want, d)
			}
		}
		assert.DeepEqual(t, index.of(objects, TypeLayer), want)
	})
}

func BenchmarkClassifyDoubts(b *testing.B) {
	g := NewGraph()
	for i := range 10000 {
		n := layerNode(fmt.Sprint(i))
		g.Add(Object{Node: n, Backend: "overlay2", Medium: Directory})
		g.Doubt(Doubt{Source: "x", Where: n.Name, Err: "y", Scope: Scope{Nodes: []Node{n}}})
	}
	for b.Loop() {
		Classify(g, Policy{Now: time.Now(), Grace: time.Hour})
	}
}
