package whose

import "github.com/docker-orphans/docker-orphans/scan"

// Broken says what fails because something is broken: the images, containers
// and others that need it, at whatever distance.
func (x *Index) Broken(b scan.Break) *Answer {
	a := &Answer{Name: b.Node.Name}
	nodes := []scan.Node{b.Node}
	if lead, ok := x.Leads(b.Node); ok {
		nodes = append(nodes, lead)
	}
	x.above(nodes, func(r scan.Ref) {
		if r.From.Kind == scan.KindImage {
			a.Images = append(a.Images, Layer{Image: x.g.TitleOf(r.From)})
		}
		x.user(a, r.From)
	})
	a.sort()
	return a
}

// Leads returns the layer that a short link that is gone led to.
func (x *Index) Leads(link scan.Node) (scan.Node, bool) {
	for r := range x.edges.From(link) {
		if r.Why.Leads() {
			return r.To, true
		}
	}
	return scan.Node{}, false
}
