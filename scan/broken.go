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
// break but a doubt.
func Breaks(g *Graph) []Break {
	c := newClassifier(g, Policy{})
	found := map[Node]*Break{}
	add := func(n Node, what string) *Break {
		if found[n] == nil {
			found[n] = &Break{Node: n, What: what}
		}
		return found[n]
	}
	told := map[Node]bool{} // configs of images: what is gone is a break itself
	for _, r := range g.refs.all() {
		if r.why == ByConfig && g.nodes[r.to].Kind == KindRecord {
			told[g.nodes[r.to]] = true
		}
	}
	for i := range g.Objects {
		o := &g.Objects[i]
		if missing := o.Note().Missing; missing != "" && !told[o.Node] && !setAside(o) && !remembered(o) {
			add(o.Node, missing)
		}
	}
	for _, name := range g.Host.LostVolumes {
		add(VolumeNode(name), "is gone, and volumes/metadata.db lists it")
	}
	for _, l := range g.Host.LostBuilds {
		add(l.Node, l.What)
	}
	lost := c.lostLinks()
	for _, r := range g.refs.all() {
		from, to := g.nodes[r.from], g.nodes[r.to]
		switch o := g.object(r.to); {
		case lost[r.to] && r.why == ByLower:
		case c.present(r.to), o != nil && o.Note().Missing != "", o != nil && o.Unrecognised != "":
			continue // it is there, or it is a break itself, or it is not known what it is
		case r.why == ByCacheID && found[from] != nil:
			continue // the record says so itself
		}
		b := add(to, "is gone")
		b.By = append(b.By, Ref{from, to, r.why})
	}
	var breaks []Break
	for _, b := range found {
		breaks = append(breaks, *b)
	}
	slices.SortFunc(breaks, func(a, b Break) int { return strings.Compare(a.Node.Name, b.Node.Name) })
	return breaks
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
