package source

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// images is what the records read so far say about which layers lie below
// which image and which mount record.
type images struct {
	in     *scan.Input
	g      *scan.Graph
	layers map[string][]string  // image id → its chains, the base first
	parent map[scan.Node]string // mount record → the node name of its parent chain
	init   map[scan.Node]bool   // mount records with an init layer: a container's
	on     map[string]*onLayer  // by chain: the images that have it, once they were asked for
}

// onLayer is what the images tell that have a layer.
type onLayer struct {
	title  string // the best of those whose last it is; "" if there is none
	labels scan.Labels
}

func readImages(in *scan.Input, g *scan.Graph) *images {
	m := &images{
		in: in, g: g,
		layers: map[string][]string{}, parent: map[scan.Node]string{}, init: map[scan.Node]bool{},
		on: map[string]*onLayer{},
	}
	for _, mark := range g.Marks {
		if mark.Node.Kind == scan.KindImage {
			m.layers[mark.Node.Name] = nil
		}
	}
	for r := range g.Refs {
		switch {
		case r.Why == scan.ByDiffIDs:
			m.layers[r.From.Name] = append(m.layers[r.From.Name], r.To.Name)
		case r.Why == scan.ByParent && r.From.Kind == scan.KindMount:
			m.parent[r.From] = r.To.Name
		case r.Why == scan.ByInitID:
			m.init[r.From] = true
		}
	}
	return m
}

// describe says what a mount record was, and which labels it may carry: those
// of every image that has its parent layer. The container's own are lost. All
// records on a layer have the same labels, which nobody may change.
func (m *images) describe(name, parent string, init bool) (was string, labels scan.Labels) {
	on := m.on[parent]
	if on == nil {
		on = m.imagesOn(parent)
		m.on[parent] = on
	}
	switch {
	case init:
		was = "container " + scan.Short(name)
	case scan.IsBuildID(name) || scan.IsID(name):
		was = "build step"
	default:
		was = "image mount"
	}
	if on.title != "" {
		was += " of " + on.title
	}
	return was, on.labels
}

// imagesOn asks the images that have a layer.
func (m *images) imagesOn(parent string) *onLayer {
	on := &onLayer{}
	var titles []string
	for _, id := range slices.Sorted(maps.Keys(m.layers)) {
		layers := m.layers[id]
		for i, chain := range layers {
			if chain != parent {
				continue
			}
			m.addLabels(id, &on.labels)
			if i == len(layers)-1 {
				titles = append(titles, m.g.TitleOf(scan.ImageNode(id)))
			}
		}
	}
	on.title = best(titles)
	return on
}

// best is the title that a person knows: a tag rather than an id, and the
// first of those.
func best(titles []string) string {
	found := ""
	for _, t := range titles {
		tag, foundTag := strings.Contains(t, ":"), strings.Contains(found, ":")
		if found == "" || tag && !foundTag || tag == foundTag && t < found {
			found = t
		}
	}
	return found
}

// addLabels adds the labels of an image's config.
func (m *images) addLabels(id string, labels *scan.Labels) {
	hex := strings.TrimPrefix(id, "sha256:")
	for _, b := range m.in.Backends {
		name := path.Join("image", b.Name, "imagedb/content/sha256", hex)
		config, err := readImage(m.in, name, hex)
		if err != nil {
			continue // removed since: then it protects nothing any more
		}
		labels.AddAll(config.Config.Labels, name)
	}
}
