package source

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Names says what layers without a record were, where that can still be told:
// from the form of their id, from a write-set that was begun when they were
// made, from the image that they lie on. It is a help for people and proves
// nothing.
var Names = &scan.Source{
	ID:  scan.SourceNames,
	Doc: "what is left that tells what a layer without a record was",
	Collect: func(_ context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		n := newNames(in, g)
		named := 0
		for i := range g.Objects {
			o := &g.Objects[i]
			if o.Kind != scan.KindLayer || n.owned(o.Node) || o.Unrecognised != "" {
				continue
			}
			if was := n.name(o); was != "" {
				o.Annotate().Was = was
				named++
			}
		}
		return fmt.Sprintf("%d layers without a record named", named), nil
	},
}

type names struct {
	g       *scan.Graph
	edges   *scan.Edges
	tops    map[string]string  // layerdb entry → the image whose last layer it is
	written map[scan.Node]bool // layers that a write-set was begun with
}

func newNames(in *scan.Input, g *scan.Graph) *names {
	n := &names{g: g, edges: g.Edges(), tops: map[string]string{}}
	for id, layers := range readImages(in, g).layers {
		if len(layers) > 0 {
			top := layers[len(layers)-1]
			n.tops[top] = best([]string{n.tops[top], g.TitleOf(scan.ImageNode(id))})
		}
	}
	n.written = n.writtenLayers()
	return n
}

// owned reports whether a record or a build names a layer.
func (n *names) owned(layer scan.Node) bool {
	return n.edges.Needed(layer, scan.ByCacheID, scan.ByMountID, scan.ByInitID, scan.BySnapshot, scan.BySameID)
}

// writtenLayers finds the layer that was made together with each write-set:
// the one without a record whose birth is within a second of its. Where there
// are several, as in a root that was unpacked from an archive, nothing is
// told.
func (n *names) writtenLayers() map[scan.Node]bool {
	written := map[scan.Node]bool{}
	layers := n.byBirth()
	for i := range n.g.Objects {
		set := &n.g.Objects[i]
		if set.Kind != scan.KindDownload || set.Backend == "" || set.Stamp.Birth.IsZero() {
			continue
		}
		first, _ := slices.BinarySearchFunc(layers, set.Stamp.Birth.Add(1-time.Second), func(o *scan.Object, t time.Time) int {
			return o.Stamp.Birth.Compare(t)
		})
		near := func(i int) bool {
			return i < len(layers) && layers[i].Stamp.Birth.Sub(set.Stamp.Birth) < time.Second
		}
		if near(first) && !near(first+1) {
			written[layers[first].Node] = true
		}
	}
	return written
}

// byBirth lists the layers without a record, the oldest first.
func (n *names) byBirth() []*scan.Object {
	var layers []*scan.Object
	for i := range n.g.Objects {
		if o := &n.g.Objects[i]; o.Kind == scan.KindLayer && !n.owned(o.Node) {
			layers = append(layers, o)
		}
	}
	slices.SortFunc(layers, func(a, b *scan.Object) int { return a.Stamp.Birth.Compare(b.Stamp.Birth) })
	return layers
}

// name says what one layer was, or "".
func (n *names) name(o *scan.Object) string {
	id := path.Base(o.Name)
	switch {
	case scan.IsBuildID(id):
		return "build cache" + n.on(o.Node)
	case scan.IsInitID(id), n.g.Has(scan.Node{Kind: scan.KindLayer, Name: o.Name + "-init"}):
		return "container" + n.on(o.Node)
	case n.g.Has(scan.ImageNode(id)): // before 1.10, by a tag that is left
		return "image " + n.g.TitleOf(scan.ImageNode(id))
	case n.written[o.Node]:
		return "interrupted pull, load or import" + n.on(o.Node)
	}
	if on := n.on(o.Node); on != "" {
		return "layer" + on
	}
	return ""
}

// on names the image that a layer lies on.
func (n *names) on(layer scan.Node) string {
	for range 4 { // an -init, a build step or two may lie between
		layer = n.below(layer)
		for r := range n.edges.To(layer) {
			if title := n.tops[r.From.Name]; r.Why == scan.ByCacheID && title != "" {
				return " on " + title
			}
		}
	}
	return ""
}

// below is the layer that one lies on: the nearest comes first.
func (n *names) below(layer scan.Node) scan.Node {
	for r := range n.edges.From(layer) {
		if r.Why == scan.ByLower {
			if r.To.Kind == scan.KindLayer {
				return r.To
			}
			for link := range n.edges.From(r.To) {
				if link.Why.Leads() {
					return link.To
				}
			}
			break
		}
	}
	return scan.Node{}
}
