package adopt

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/layerdb"
)

// A Cascade is what one adoption makes the daemon delete: a chain on which
// nothing lies, and every chain below it that nothing else keeps.
type Cascade struct {
	Backend string `json:"backend"` // name of the storage driver
	Falls   []Link `json:"falls"`   // the top first
}

// A Link is one chain of a cascade.
type Link struct {
	Finding string    `json:"finding"` // the finding's id
	Chain   string    `json:"chain"`   // "sha256:<hex>"
	Layer   scan.Node `json:"layer"`   // what the storage driver has for it
}

// A Left is a finding that no adoption can serve now, and why.
type Left struct {
	Finding string `json:"finding"`
	Reason  string `json:"reason"`
}

// Cascades says which chains must be adopted, and in which order, so that
// every image layer among the findings goes. going are all findings of a plan,
// those that go by hand too: they go first, so that what they need counts no
// more. It is pure.
//
// A chain stays if anything that does not go needs it, its layer, or a short
// link to it, by whatever path: also a layer without a record that lies below
// a live one. A cascade stays as a whole unless the chain it ends on is kept by
// something that the daemon counts for certain: it would delete that one too.
func Cascades(g *scan.Graph, going []scan.Finding) ([]Cascade, []Left) {
	f := newForest(g, going)
	var cascades []Cascade
	for _, top := range f.tops() {
		if c, ok := f.fell(top); ok {
			cascades = append(cascades, c)
		}
	}
	return cascades, f.left()
}

// A forest is the chains that are to go, with what else is known of them.
type forest struct {
	g        *scan.Graph
	chains   map[scan.Node]*chain
	needed   map[scan.Node]scan.Node   // what does not go needs this: the one that does
	parents  map[scan.Node]scan.Node   // chain → its parent
	children map[scan.Node][]scan.Node // chain → the chains on it
	holders  map[scan.Node][]scan.Ref  // chain or mount record → references to it
	listed   map[scan.Node]bool        // what the daemon lists
}

// A chain is one that is to go.
type chain struct {
	link    Link
	backend string
	falls   bool
	stays   string // why it does not fall; "" while that is open
}

func newForest(g *scan.Graph, going []scan.Finding) *forest {
	f := &forest{
		g: g, chains: map[scan.Node]*chain{}, parents: map[scan.Node]scan.Node{},
		children: map[scan.Node][]scan.Node{}, holders: map[scan.Node][]scan.Ref{}, listed: map[scan.Node]bool{},
	}
	goes := map[scan.Node]bool{}
	for i := range going {
		finding := &going[i]
		if finding.Verdict != scan.Orphan {
			continue
		}
		for _, o := range finding.Parts {
			goes[o.Node] = true
		}
		if head := finding.Parts[0]; finding.Type == scan.TypeImageLayer && head.Kind == scan.KindChain {
			f.chains[head.Node] = &chain{backend: head.Backend, link: Link{Finding: finding.ID, Chain: "sha256:" + path.Base(head.Name)}}
		}
	}
	f.index()
	f.needed = needed(g, goes)
	for n, c := range f.chains {
		c.stays = f.unfit(n, c)
	}
	return f
}

// index sorts the references by what they lead to.
func (f *forest) index() {
	for r := range f.g.Refs {
		if r.To.Kind == scan.KindChain || r.To.Kind == scan.KindMount {
			f.holders[r.To] = append(f.holders[r.To], r)
		}
		if r.From.Kind != scan.KindChain {
			continue
		}
		switch r.Why {
		case scan.ByParent:
			f.parents[r.From] = r.To
			f.children[r.To] = append(f.children[r.To], r.From)
		case scan.ByCacheID:
			if c := f.chains[r.From]; c != nil {
				c.link.Layer = r.To
			}
		}
	}
	for _, m := range f.g.Marks {
		if m.Verdict == scan.Used && (m.Where == "GET /images/json" || m.Where == "GET /containers/json") {
			f.listed[m.Node] = true
		}
	}
}

// unfit says why a chain cannot be adopted whatever else goes, or "".
func (f *forest) unfit(n scan.Node, c *chain) string {
	if driver := f.g.Host.Info.Driver; driver != c.backend {
		// It would be another driver's chain of the same id that is released.
		return fmt.Sprintf("it is of %s, and the daemon uses %s", c.backend, cmp.Or(driver, "no driver that is known"))
	}
	layer := f.g.Object(c.link.Layer)
	if layer == nil || layer.Note().Missing != "" {
		return "its layer is not there"
	}
	for _, part := range []scan.Node{n, c.link.Layer} {
		if by, ok := f.needed[part]; ok {
			return fmt.Sprintf("%s needs it", f.g.TitleOf(by))
		}
	}
	for i, at := 0, n; i <= layerdb.MaxDepth; i++ {
		parent, ok := f.parents[at]
		if !ok {
			return ""
		}
		if f.g.Object(parent) == nil {
			return fmt.Sprintf("half of its chain is gone: there is no %s", scan.Short(parent.Name))
		}
		at = parent
	}
	return "its chain is longer than any image's"
}

// needed is all that something that does not go needs, with what that is. A
// short link needs its layer only where something needs the link.
func needed(g *scan.Graph, goes map[scan.Node]bool) map[scan.Node]scan.Node {
	refs := map[scan.Node][]scan.Node{}
	for r := range g.Refs {
		refs[r.From] = append(refs[r.From], r.To)
	}
	by := map[scan.Node]scan.Node{}
	var queue []scan.Node
	reach := func(n, from scan.Node) {
		if _, ok := by[n]; !ok {
			by[n] = from
			queue = append(queue, n)
		}
	}
	follow := func() {
		for ; len(queue) > 0; queue = queue[1:] {
			for _, to := range refs[queue[0]] {
				reach(to, by[queue[0]])
			}
		}
	}
	for _, m := range g.Marks { // first, because they say best who needs it
		reach(m.Node, m.Node)
	}
	follow()
	for n := range g.Nodes {
		if !goes[n] && (n.Kind != scan.KindLink || g.Object(n) != nil) {
			reach(n, n)
		}
	}
	follow()
	return by
}

// tops are the chains to go on which nothing lies, sorted.
func (f *forest) tops() []scan.Node {
	var tops []scan.Node
	for n, c := range f.chains {
		if c.stays == "" && len(f.children[n]) == 0 {
			tops = append(tops, n)
		}
	}
	slices.SortFunc(tops, func(a, b scan.Node) int { return cmp.Compare(a.Name, b.Name) })
	return tops
}

// fell lets a top fall with everything below it that nothing keeps any more,
// unless what then is lowest is not certain to stay.
func (f *forest) fell(top scan.Node) (Cascade, bool) {
	cascade := Cascade{Backend: f.chains[top].backend}
	falls := map[scan.Node]bool{}
	at, more := top, true
	for more && f.free(at, falls) {
		falls[at] = true
		cascade.Falls = append(cascade.Falls, f.chains[at].link)
		at, more = f.parents[at]
	}
	if more && !f.counted(at, falls) {
		reason := fmt.Sprintf("%s below it would go too, and is not to go: nothing that the daemon counts for certain keeps it", scan.Short(at.Name))
		for n := range falls {
			f.chains[n].stays = reason
		}
		return Cascade{}, false
	}
	for n := range falls {
		f.chains[n].falls = true
	}
	return cascade, true
}

// free reports whether a chain is to go and nothing lies on it but what falls.
func (f *forest) free(n scan.Node, falls map[scan.Node]bool) bool {
	c := f.chains[n]
	if c == nil || c.stays != "" || falls[n] {
		return false
	}
	return !slices.ContainsFunc(f.children[n], func(child scan.Node) bool {
		return !falls[child] && (f.chains[child] == nil || !f.chains[child].falls)
	})
}

// counted reports whether the daemon is certain to count a reference to a
// chain: an image or a container that it lists, or a record that was there
// when it started and did not change since. A record that came later may be
// one that was put back by hand, and a build's reference may be lost in memory
// (moby's lease manager forgets one that two builds share).
func (f *forest) counted(n scan.Node, falls map[scan.Node]bool) bool {
	for _, r := range f.holders[n] {
		from := f.chains[r.From]
		switch {
		case falls[r.From] || from != nil && from.falls:
		case r.Why == scan.ByDiffIDs && f.listed[r.From]:
			return true
		case r.Why == scan.ByParent && (f.listedAbove(r.From) || f.old(r.From) && f.loaded(n)):
			return true
		}
	}
	return false
}

// listedAbove reports whether an image or a container that the daemon lists
// needs a chain or a mount record.
func (f *forest) listedAbove(n scan.Node) bool {
	return slices.ContainsFunc(f.holders[n], func(r scan.Ref) bool {
		return (r.Why == scan.ByDiffIDs || r.Why == scan.ByRWLayer) && f.listed[r.From]
	})
}

// loaded reports whether the daemon has a chain since it started. It loads no
// record whose parent is not there: one that was put back later does not count.
func (f *forest) loaded(n scan.Node) bool {
	for range layerdb.MaxDepth {
		if !f.old(n) {
			return false
		}
		parent, ok := f.parents[n]
		if !ok {
			return true
		}
		n = parent
	}
	return false
}

// old reports whether a record was there, as it is, when the daemon started.
func (f *forest) old(n scan.Node) bool {
	o := f.g.Object(n)
	start, ok := f.g.Host.DaemonStart()
	return ok && o != nil && o.Unrecognised == "" && o.Stamp.Change.Before(start)
}

// left lists the chains that no cascade has, by finding.
func (f *forest) left() []Left {
	var left []Left
	for _, c := range f.chains {
		if c.falls {
			continue
		}
		left = append(left, Left{c.link.Finding, cmp.Or(c.stays, "a chain on it stays")})
	}
	slices.SortFunc(left, func(a, b Left) int { return cmp.Compare(a.Finding, b.Finding) })
	return left
}
