package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Repairs are what can be set aside of what is broken, so that a pull or a load
// of the same heals it.
type Repairs struct {
	// Without are the damaged records, and the images that no daemon can use and
	// that nothing else depends on, as a [Policy] has them.
	Without map[Node]bool
	// Layers are the registered layers that go with the images: from the lowest
	// that is gone up.
	Layers map[Node]bool
	// Left are the broken images that are not set aside.
	Left []Unrepaired
}

// An Unrepaired is an image that is broken, and why it is not set aside.
type Unrepaired struct {
	Image Node
	Why   string
}

// FindRepairs finds them. An image is set aside as a whole with what lies on the
// layer that is gone: the daemon cannot use that either, and as long as it is
// registered the layer cannot be made again. What the daemon has in memory is
// never set aside behind its back (rule 7).
func FindRepairs(g *Graph, p Policy) *Repairs {
	x := &repairer{g: g, edges: g.Edges(), records: map[Node]Node{}}
	r := &Repairs{Without: x.candidates(), Layers: map[Node]bool{}}
	for again := len(r.Without) > 0; again; {
		p.Without = r.Without
		x.judge(p)
		again = x.choose(r)
	}
	slices.SortFunc(r.Left, func(a, b Unrepaired) int {
		return cmp.Or(strings.Compare(g.TitleOf(a.Image), g.TitleOf(b.Image)), strings.Compare(a.Image.Name, b.Image.Name))
	})
	return r
}

// candidates are the broken images and the damaged records.
func (x *repairer) candidates() map[Node]bool {
	found := map[Node]bool{}
	for ref := range x.g.Refs {
		if ref.Why == ByConfig && ref.From.Kind == KindImage {
			x.records[ref.From] = ref.To
			found[ref.From] = true
		}
	}
	for i := range x.g.Objects {
		if o := &x.g.Objects[i]; o.Kind == KindRecord && o.Note().Missing != "" {
			found[o.Node] = true
		}
	}
	return found
}

// choose leaves out what must stay, by what was judged without it, and reports
// whether that makes it necessary to judge again: what stays needs others. The
// entries of an image that stays do, too: alone they heal nothing.
func (x *repairer) choose(r *Repairs) (again bool) {
	clear(r.Layers)
	for n := range r.Without {
		layers, why := x.setAside(n)
		if why != "" {
			delete(r.Without, n)
			again = true
		}
		if why != "" && n.Kind == KindImage {
			r.Left = append(r.Left, Unrepaired{n, why})
			for ref := range x.edges.From(n) {
				delete(r.Without, Node{KindRecord, ref.To.Name})
			}
		}
		for _, l := range layers {
			r.Layers[l] = true
		}
	}
	return again
}

// Takes reports whether a finding, judged without them, is set aside: a damaged
// record, a registered layer that is gone, or one that lies on such a layer.
func (r *Repairs) Takes(f *Finding) bool {
	head := f.Parts[0].Node
	return r.Without[head] || r.Layers[head] || f.Verdict == Damaged && f.Type == TypeImageLayer
}

// isWithout reports a doubt about something that is set aside.
func (p *Policy) isWithout(d Doubt) bool {
	for n := range p.Without {
		if d.Where == n.Name || strings.HasPrefix(d.Where, n.Name+"/") {
			return true
		}
	}
	return false
}

// A repairer looks at broken images.
type repairer struct {
	g        *Graph
	edges    *Edges
	records  map[Node]Node // broken image → its config
	findings map[Node]*Finding
}

func (x *repairer) judge(p Policy) {
	x.findings = map[Node]*Finding{}
	for _, f := range Classify(x.g, p) {
		for _, o := range f.Parts {
			x.findings[o.Node] = &f
		}
	}
}

// setAside lists the registered layers that go with a broken image, or says why
// that, or a damaged record, stays.
func (x *repairer) setAside(image Node) (layers []Node, why string) {
	record, ok := x.records[image]
	if !ok {
		record = image
	}
	for _, m := range x.g.Marks {
		if m.Node == image && m.Where != record.Name {
			return nil, fmt.Sprintf("the daemon has it in memory: docker rmi %s, or stop Docker first", x.g.TitleOf(image))
		}
	}
	if f := x.findings[record]; f == nil || f.Verdict != Damaged {
		return nil, stays(f)
	}
	above := false // the lowest layer that is gone
	for r := range x.edges.From(image) {
		if r.Why != ByDiffIDs {
			continue
		}
		o := x.g.Object(r.To)
		if above = above || o == nil || o.Note().Missing != ""; !above || o == nil {
			continue
		}
		f := x.findings[r.To]
		switch {
		case f == nil || f.Verdict != Damaged && f.Verdict != Orphan:
			return nil, stays(f)
		case x.g.Host.Online:
			return nil, "the daemon may have some of its layers in memory: stop Docker first"
		}
		layers = append(layers, r.To)
	}
	return layers, ""
}

func stays(f *Finding) string {
	if f == nil {
		return "it has changed"
	}
	if f.Verdict == Used {
		return f.Reason + ": remove that first"
	}
	return fmt.Sprintf("%s %s is %s: %s", f.Type, f.ShortID(), f.Verdict, f.Reason)
}
