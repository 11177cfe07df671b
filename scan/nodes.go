package scan

import (
	"slices"

	"github.com/docker-orphans/docker-orphans/scan/lookup"
)

// A Graph is everything a scan read: plain data, no open handles. It keeps
// nodes as numbers, for a host can have a million of them.
type Graph struct {
	Host    Host
	Doubts  []Doubt
	Reports []Report
	Marks   []Mark
	Objects []Object

	nodes    []Node
	numbers  lookup.Table // of nodes, by name
	refs     refs
	objectOf []int32 // by node: its object's number from 1; 0: it has none
	titles   map[int32]string
	notes    []string // of the backend that is being listed
}

// NewGraph returns an empty graph.
func NewGraph() *Graph {
	return &Graph{titles: map[int32]string{}}
}

// Expect makes room for so many layers and what comes with them: their records
// and their links. Without it the graph is copied each time it grows.
func (g *Graph) Expect(layers int) {
	if cap(g.Objects)-len(g.Objects) >= layers {
		return
	}
	room := make([]Object, len(g.Objects), len(g.Objects)+2*layers+layers/16)
	copy(room, g.Objects)
	g.Objects = room
	g.nodes = slices.Grow(g.nodes, 3*layers)
	g.objectOf = slices.Grow(g.objectOf, 3*layers)
}

// number is a node's number, if anything named it.
func (g *Graph) number(n Node) (int32, bool) {
	for id := range g.numbers.Find(n.Name) {
		if g.nodes[id] == n {
			return id, true
		}
	}
	return 0, false
}

// id is a node's number, a new one if nothing named it.
func (g *Graph) id(n Node) int32 {
	if id, ok := g.number(n); ok {
		return id
	}
	id := int32(len(g.nodes))
	g.nodes = append(g.nodes, n)
	g.objectOf = append(g.objectOf, 0)
	g.numbers.Add(id, func(id int32) string { return g.nodes[id].Name })
	return id
}

// Add adds an object. A second object of the same node replaces the first.
func (g *Graph) Add(o Object) {
	id := g.id(o.Node)
	o.Node = g.nodes[id] // one copy of its name is enough
	if old := g.object(id); old != nil {
		*old = o
		return
	}
	g.Objects = append(g.Objects, o)
	g.objectOf[id] = int32(len(g.Objects))
}

// Object returns the object of a node, or nil. The pointer holds until the
// next Add.
func (g *Graph) Object(n Node) *Object {
	id, ok := g.number(n)
	if !ok {
		return nil
	}
	return g.object(id)
}

func (g *Graph) object(id int32) *Object {
	if i := g.objectOf[id]; i > 0 {
		return &g.Objects[i-1]
	}
	return nil
}

// Has reports whether the node was named by anything so far.
func (g *Graph) Has(n Node) bool {
	_, ok := g.number(n)
	return ok
}

// Refer adds a reference: from needs to.
func (g *Graph) Refer(from, to Node, why Why) {
	g.refs.add(ref{g.id(from), g.id(to), why})
}

// Live says that a user would miss this node. What names the witness in a
// person's words, where is the file or API call it was read from.
func (g *Graph) Live(n Node, what, where string) { g.mark(n, Used, what, where) }

// Hold says that something has this node mounted, open, or is writing it.
func (g *Graph) Hold(n Node, what, where string) { g.mark(n, Held, what, where) }

// Keep says that this node is kept on somebody's word.
func (g *Graph) Keep(n Node, what, where string) { g.mark(n, Kept, what, where) }

func (g *Graph) mark(n Node, v Verdict, what, where string) {
	n = g.nodes[g.id(n)]
	g.Marks = append(g.Marks, Mark{Node: n, Verdict: v, What: what, Where: where})
}

// Use says what works with a data root on which no daemon answers.
func (g *Graph) Use(what string) {
	if !slices.Contains(g.Host.InUse, what) {
		g.Host.InUse = append(g.Host.InUse, what)
	}
}

// Title gives a node the name that a person knows it by.
func (g *Graph) Title(n Node, title string) { g.titles[g.id(n)] = title }

// TitleOf returns a node's title, or the end of its name.
func (g *Graph) TitleOf(n Node) string {
	if id, ok := g.number(n); ok {
		if t := g.titles[id]; t != "" {
			return t
		}
	}
	return Short(n.Name)
}

// Note adds to what the report of a backend says that is being listed.
func (g *Graph) Note(text string) { g.notes = append(g.notes, text) }

// Doubt records something that could not be read to the end.
func (g *Graph) Doubt(d Doubt) { g.Doubts = append(g.Doubts, d) }

// Nodes calls yield for every node that anything named so far.
func (g *Graph) Nodes(yield func(Node) bool) {
	for _, n := range g.nodes {
		if !yield(n) {
			return
		}
	}
}

// NodeList lists the nodes that anything named so far. It is the graph's own
// list: it does not change, and must not be changed.
func (g *Graph) NodeList() []Node { return slices.Clip(g.nodes) }

// Refs calls yield for every reference, in the order of their discovery.
func (g *Graph) Refs(yield func(Ref) bool) {
	for _, r := range g.refs.all() {
		if !yield(Ref{g.nodes[r.from], g.nodes[r.to], r.why}) {
			return
		}
	}
}
