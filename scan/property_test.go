package scan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"pgregory.net/rapid"
)

// drawAny draws a graph of objects of every kind that refer to each other in
// any way, some of them damaged, with marks and doubts.
func drawAny(t *rapid.T) *Graph {
	g := testGraph()
	if rapid.Bool().Draw(t, "online") {
		online(g, now.Add(-time.Hour))
	}
	kinds := []Kind{KindLayer, KindChain, KindMount, KindRemoving, KindContainer, KindDownload, KindVolume}
	for i := range rapid.IntRange(1, 8).Draw(t, "objects") {
		n := Node{rapid.SampledFrom(kinds).Draw(t, "kind"), fmt.Sprint("some/", i)}
		made := now.Add(-rapid.SampledFrom([]time.Duration{time.Minute, 2 * time.Hour, 48 * time.Hour}).Draw(t, "age"))
		o := Object{Node: n, Backend: rapid.SampledFrom([]string{"overlay2", "vfs"}).Draw(t, "backend"), Stamp: Stamp{Birth: made, Change: made}}
		switch rapid.IntRange(0, 9).Draw(t, "damage") {
		case 0:
			o.Annotate().Missing = "x"
		case 1:
			o.Unrecognised = "x"
		}
		if rapid.Bool().Draw(t, "walked") {
			o.Usage = &Usage{Newest: made, Complete: true}
		}
		g.Add(o)
	}
	for range rapid.IntRange(0, 10).Draw(t, "refs") {
		drawRef(t, g)
	}
	for range rapid.IntRange(0, 2).Draw(t, "marks") {
		g.mark(drawNode(t, g), rapid.SampledFrom([]Verdict{Used, Held, Kept}).Draw(t, "verdict"), "x", "x")
	}
	for range rapid.IntRange(0, 2).Draw(t, "doubts") {
		d := Doubt{Where: "x", Scope: drawScope(t, g)}
		if rapid.Bool().Draw(t, "conditional") {
			d.Of = drawNode(t, g)
		}
		g.Doubt(d)
	}
	return g
}

func drawNode(t *rapid.T, g *Graph) Node {
	return g.Objects[rapid.IntRange(0, len(g.Objects)-1).Draw(t, "node")].Node
}

// drawRef adds a reference, now and then to what is not there.
func drawRef(t *rapid.T, g *Graph) {
	to := drawNode(t, g)
	if rapid.IntRange(0, 9).Draw(t, "lost") == 0 {
		to.Name = "some/lost"
	}
	g.Refer(drawNode(t, g), to, rapid.SampledFrom([]Why{ByLower, ByParent, ByCacheID, ByMountID, ByInitName, ByPath, ByVolume}).Draw(t, "why"))
}

func drawScope(t *rapid.T, g *Graph) Scope {
	switch rapid.IntRange(0, 4).Draw(t, "scope") {
	case 0:
		return Scope{Backend: "overlay2"}
	case 1:
		return Scope{Types: []Type{rapid.SampledFrom(Contracts).Draw(t, "type").Type}}
	case 2:
		return Scope{Nodes: []Node{drawNode(t, g)}}
	case 3:
		return Scope{Since: now.Add(-3 * time.Hour)}
	}
	return Scope{}
}

// A doubt leaves no orphan in its scope.
func TestADoubtLeavesNoneInItsScope(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawAny(t)
		scope := drawScope(t, g)
		g.Doubt(Doubt{Where: "drawn", Scope: scope})
		for _, f := range Classify(g, policy) {
			for _, o := range f.Parts {
				if f.Verdict == Orphan && scope.covers(o, f.Type) {
					t.Fatalf("%s is an orphan, and in the scope %+v", o.Node, scope)
				}
			}
		}
	})
}

// One more reference, mark or doubt never makes an orphan, nor does less age.
// That a record has a layer is another matter: then it is no layer without a
// record any more, which is what many a doubt is about.
func TestMoreEvidenceOfAnyKindMakesNoOrphans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawAny(t)
		before := orphans(g)
		switch rapid.IntRange(0, 3).Draw(t, "evidence") {
		case 0:
			g.Refer(drawNode(t, g), drawNode(t, g), rapid.SampledFrom([]Why{ByLower, ByParent, ByPath, ByVolume}).Draw(t, "evident"))
		case 1:
			g.mark(drawNode(t, g), rapid.SampledFrom([]Verdict{Used, Held, Kept}).Draw(t, "verdict"), "x", "x")
		case 2:
			g.Doubt(Doubt{Where: "x", Scope: drawScope(t, g)})
		case 3:
			o := g.Object(drawNode(t, g))
			o.Stamp.Birth, o.Stamp.Change = now.Add(-time.Second), now.Add(-time.Second)
		}
		for n := range orphans(g) {
			if !before[n] {
				t.Fatalf("%s became an orphan", n)
			}
		}
	})
}

// Nothing that a mark leads to is an orphan: a plain search says so too.
func TestNothingReachableFromAMarkIsAnOrphan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawAny(t)
		reached := map[Node]bool{}
		for _, m := range g.Marks {
			reached[m.Node] = true
		}
		for grown := true; grown; {
			grown = false
			for r := range g.Refs {
				if reached[r.From] && !reached[r.To] || r.Why.owns() && reached[r.To] && !reached[r.From] {
					reached[r.From], reached[r.To], grown = true, true, true
				}
			}
		}
		for n := range orphans(g) {
			if reached[n] {
				t.Fatalf("%s is needed, and an orphan", n)
			}
		}
	})
}

// The order in which things, references, marks and doubts were read does not
// matter.
func TestOrderOfNothingMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawAny(t)
		shuffled := testGraph()
		shuffled.Host = g.Host
		for _, o := range rapid.Permutation(g.Objects).Draw(t, "objects") {
			shuffled.Add(o)
		}
		for _, r := range rapid.Permutation(slices.Collect(g.Refs)).Draw(t, "refs") {
			shuffled.Refer(r.From, r.To, r.Why)
		}
		for _, m := range rapid.Permutation(g.Marks).Draw(t, "marks") {
			shuffled.mark(m.Node, m.Verdict, m.What, m.Where)
		}
		for _, d := range rapid.Permutation(g.Doubts).Draw(t, "doubts") {
			shuffled.Doubt(d)
		}
		assert.DeepEqual(t, orphans(shuffled), orphans(g))
	})
}
