package scan

import "iter"

// Edges are the references of a graph by the node at either end. Those that
// were added since the first question may be missing.
type Edges struct {
	g        *Graph
	from, to *layout // laid out when the first is asked for
}

// Edges returns the references by node.
func (g *Graph) Edges() *Edges {
	return &Edges{g: g}
}

// From calls yield for every reference that starts at a node, in the order of
// their discovery.
func (e *Edges) From(n Node) iter.Seq[Ref] {
	if e.from == nil {
		e.from = e.g.layout(func(r ref) int32 { return r.from })
	}
	return e.at(n, e.from)
}

// To calls yield for every reference that leads to a node.
func (e *Edges) To(n Node) iter.Seq[Ref] {
	if e.to == nil {
		e.to = e.g.layout(func(r ref) int32 { return r.to })
	}
	return e.at(n, e.to)
}

// Needed reports whether a reference of one of these kinds leads to a node.
func (e *Edges) Needed(n Node, why ...Why) bool {
	for r := range e.To(n) {
		for _, w := range why {
			if r.Why == w {
				return true
			}
		}
	}
	return false
}

func (e *Edges) at(n Node, l *layout) iter.Seq[Ref] {
	return func(yield func(Ref) bool) {
		id, ok := e.g.number(n)
		if !ok {
			return
		}
		for _, i := range l.of(id) {
			r := e.g.refs.at(i)
			if !yield(Ref{e.g.nodes[r.from], e.g.nodes[r.to], r.why}) {
				return
			}
		}
	}
}

// A layout is the numbers of all references, those of one node together.
type layout struct {
	first []int32 // those of node i are order[first[i]:first[i+1]]
	order []int32
}

// layout lays out the references by the node that they belong to.
func (g *Graph) layout(of func(ref) int32) *layout {
	l := &layout{first: make([]int32, len(g.nodes)+1), order: make([]int32, g.refs.len())}
	for _, r := range g.refs.all() {
		l.first[of(r)]++
	}
	sum := int32(0)
	for i, n := range l.first {
		sum += n
		l.first[i] = sum
	}
	for i := int32(g.refs.len()) - 1; i >= 0; i-- {
		at := &l.first[of(g.refs.at(i))]
		*at--
		l.order[*at] = i
	}
	return l
}

func (l *layout) of(node int32) []int32 {
	if int(node)+1 >= len(l.first) {
		return nil // it came later
	}
	return l.order[l.first[node]:l.first[node+1]]
}
