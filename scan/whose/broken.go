package whose

import "github.com/docker-orphans/docker-orphans/scan"

// Broken says what fails because something is broken: the images, containers
// and others that need it, at whatever distance.
func (x *Index) Broken(b scan.Break) *Answer {
	a := &Answer{Name: b.Node.Name}
	nodes := []scan.Node{b.Node}
	if lead, ok := x.leads(b.Node); ok {
		nodes = append(nodes, lead)
	}
	images := map[string]bool{}
	seen := map[scan.Node]bool{}
	for queue := nodes; len(queue) > 0; queue = queue[1:] {
		for r := range x.edges.To(queue[0]) {
			if seen[r.From] {
				continue
			}
			seen[r.From] = true
			queue = append(queue, r.From)
			if r.From.Kind == scan.KindImage {
				images[x.g.TitleOf(r.From)] = true
			}
			x.user(a, r.From)
		}
	}
	for image := range images {
		a.Images = append(a.Images, Layer{Image: image})
	}
	a.sort()
	return a
}

// leads is the layer that a short link that is gone led to.
func (x *Index) leads(link scan.Node) (scan.Node, bool) {
	for r := range x.edges.From(link) {
		if r.Why.Leads() {
			return r.To, true
		}
	}
	return scan.Node{}, false
}
