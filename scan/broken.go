package scan

import (
	"slices"
	"strings"
)

// A Break is a thing that records name and that is not there, or a record that
// is of no use without what is gone.
type Break struct {
	Node Node
	What string // "is gone", or what is
	By   []Ref  // what names it
}

// Breaks lists what is broken, sorted by name. What a scan could not read is no
// break but a doubt, and so is what was looked for on a list that is in doubt.
func Breaks(g *Graph) []Break {
	// What was set aside, or lies where the daemon looks, may be there.
	if g.unread(SourceQuarantine) || g.unread(SourceSight) {
		return nil
	}
	c := newClassifier(g, Policy{})
	found := map[Node]*Break{}
	add := func(n Node, what string) *Break {
		if found[n] == nil {
			found[n] = &Break{Node: n, What: what}
		}
		return found[n]
	}
	for o := range g.incomplete {
		add(o.Node, o.Note().Missing)
	}
	for _, name := range g.Host.LostVolumes {
		add(VolumeNode(name), "is gone, and volumes/metadata.db lists it")
	}
	for _, l := range g.Host.LostImages {
		add(l.Node, l.What)
	}
	for _, l := range g.Host.LostBuilds {
		if g.sureOfAll() { // which backend would have it is not known
			add(l.Node, l.What)
		}
	}
	lost := c.lostLinks()
	for _, r := range g.refs.all() {
		to := g.nodes[r.to]
		known := r.why == ByCacheID && found[g.nodes[r.from]] != nil // the record says so itself
		if lost[r.to] && r.why == ByLower || !known && c.lacks(r) {
			b := add(to, "is gone")
			b.By = append(b.By, Ref{g.nodes[r.from], to, r.why})
		}
	}
	var breaks []Break
	for _, b := range found {
		breaks = append(breaks, *b)
	}
	slices.SortFunc(breaks, func(a, b Break) int { return strings.Compare(a.Node.Name, b.Node.Name) })
	return breaks
}

// incomplete yields the records whose data is gone, but for those that only
// tell of other things that are.
func (g *Graph) incomplete(yield func(*Object) bool) {
	told := map[Node]bool{} // configs of images: what is gone is a break itself
	for _, r := range g.refs.all() {
		if r.why == ByConfig && g.nodes[r.to].Kind == KindRecord {
			told[g.nodes[r.to]] = true
		}
	}
	for i := range g.Objects {
		o := &g.Objects[i]
		if o.Note().Missing != "" && !told[o.Node] && !setAside(o) && !remembered(o) && !yield(o) {
			return
		}
	}
}

// lacks reports a reference to what is gone, and is no break itself.
func (c *classifier) lacks(r ref) bool {
	switch from, to := c.g.object(r.from), c.g.object(r.to); {
	case c.present(r.to):
		return false
	case to != nil && (to.Note().Missing != "" || to.Unrecognised != ""):
		return false // it is a break itself, or it is not known what it is
	case from != nil && from.Unrecognised != "":
		return false // what needs it is not known either
	case r.why == BySnapshot, r.why == BySameID && !c.g.Host.Before110:
		return false // it was there when that was read, or could not be looked at
	}
	return c.g.sureOf(c.g.nodes[r.to])
}

// unread reports a source that was not read to the end.
func (g *Graph) unread(s SourceID) bool {
	return slices.ContainsFunc(g.Reports, func(r Report) bool { return r.Source == s && !r.Complete })
}

// Sure reports whether the layers of a backend were listed to the end and
// nothing doubts the list: what is not on it is gone.
func (g *Graph) Sure(backend string) bool {
	source := backendSource(backend)
	return !g.unread(source) && !slices.ContainsFunc(g.Doubts, func(d Doubt) bool {
		return d.Source == source && d.Of == (Node{}) && len(d.Scope.Nodes) == 0
	})
}

// sureOfAll reports whether Graph.Sure holds for every backend.
func (g *Graph) sureOfAll() bool {
	return !slices.ContainsFunc(g.Reports, func(r Report) bool {
		name, ok := strings.CutPrefix(string(r.Source), string(backendSource("")))
		return ok && !g.Sure(name)
	})
}

// sureOf reports whether a layer, a link or a record that was not found is gone.
func (g *Graph) sureOf(n Node) bool {
	if slices.ContainsFunc(g.Doubts, func(d Doubt) bool { return d.Where == n.Name }) {
		return false
	}
	if n.Kind == KindChain || n.Kind == KindMount {
		return !g.unread(SourceLayerDB)
	}
	backend, _, _ := strings.Cut(n.Name, "/") // each has its layers below its name
	return g.Sure(backend)
}

// setAside reports what lies in the state directory (journal.Dir): it is in
// nobody's way.
func setAside(o *Object) bool { return strings.HasPrefix(o.Path(), ".docker-orphans/") }

// remembered reports what the daemon remembers of registries: that a layer is
// gone breaks none of it.
func remembered(o *Object) bool {
	return o.Kind == KindRecord && strings.Contains(o.Name, "/distribution/")
}

// lostLinks are the short links that are gone and whose layers tell of them.
// For who lies on what that is as good as the link; for a mount it is not.
func (c *classifier) lostLinks() map[int32]bool {
	lost := map[int32]bool{}
	for _, r := range c.g.refs.all() {
		if r.why == ByLinkFile {
			lost[r.from] = true
		}
	}
	return lost
}
