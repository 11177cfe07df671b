// Package whose tells what a path or an id below a data root belongs to: which
// layer of which image it is and what made it, whose writable layer, which
// run's quarantine. It reads one scan and, for the images that it names, their
// configs. It judges nothing: what the scan could not judge it says so of.
package whose

import (
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
	"github.com/docker-orphans/docker-orphans/scan/driver"
)

// An Answer is what is known of one path or id. Several fields may be set: a
// layer can be of many images.
type Answer struct {
	Name       string        // below the data root: the object's, or where the path leads
	Finding    *scan.Finding // what it is part of; nil if nothing that is judged
	Place      string        // what a directory is that is nobody's alone: "all layers of overlay2"
	Images     []Layer       // the images that it is a layer of, those with a tag first
	Record     string        // what it is to containerd: "packed layer"
	Root       string        // what Name is below, if not the data root: containerd's root
	Containers []string      // the containers that need it, by name
	Others     []string      // what else does: a build record, a plugin, a volume
}

// Known reports whether anything is known of it.
func (a *Answer) Known() bool {
	return a.Finding != nil || a.Place != "" || a.Record != "" || len(a.Containers)+len(a.Others) > 0
}

// A Layer is one layer of an image.
type Layer struct {
	Image     string // its tag, or its short id
	Number    int    // from 1, the base
	Of        int
	CreatedBy string // the step that made it, as the image's history has it; "" if that does not tell
}

// An Index answers questions about one scan.
type Index struct {
	in      *scan.Input
	g       *scan.Graph
	edges   *scan.Edges
	paths   map[string]part        // what lies at a path below the data root
	names   map[string][]part      // by the last element of a name: a directory id
	answers map[scan.Node]*Answer  // what was found of a part once
	images  map[scan.Node][]string // the steps of an image, the base first
	stored  *stored                // nil: no containerd's root is known
}

// A part is an object of a finding.
type part struct {
	object  *scan.Object
	finding *scan.Finding
}

// NewIndex makes the index of a scan and its findings, used ones too, and of
// what a containerd has on record; nil if none is known.
func NewIndex(in *scan.Input, g *scan.Graph, findings []*scan.Finding, c *containerd.Root) *Index {
	x := &Index{
		in: in, g: g, edges: g.Edges(), paths: map[string]part{}, names: map[string][]part{},
		answers: map[scan.Node]*Answer{}, images: map[scan.Node][]string{},
	}
	if c != nil {
		x.stored = newStored(c)
	}
	for _, f := range findings {
		for _, o := range f.Parts {
			p := part{o, f}
			for _, at := range o.Paths() {
				x.paths[at] = p
			}
			name := path.Base(o.Name)
			x.names[name] = append(x.names[name], p)
		}
	}
	return x
}

// Path says whose an absolute path is: written below the data root, or leading
// there through symbolic links and mounts. Nothing is known of any other.
func (x *Index) Path(abs string) (*Answer, error) {
	rel, ok := x.below(abs)
	if apart, is := x.stored.below(path.Clean(abs)); !ok && is {
		return x.contained(apart), nil
	}
	if !ok && x.in.Resolve != nil {
		resolved, err := x.in.Resolve(abs)
		if err != nil {
			return nil, err
		}
		if apart, is := x.stored.below(resolved); is {
			return x.contained(apart), nil
		}
		rel, ok = x.below(resolved)
	}
	if !ok {
		return &Answer{}, nil
	}
	return x.at(rel), nil
}

// below is a path from the data root on.
func (x *Index) below(abs string) (string, bool) {
	abs = path.Clean(abs)
	for _, root := range append([]string{x.in.DataRoot}, x.in.Aliases...) {
		if abs == root {
			return ".", true
		}
		if rel, ok := strings.CutPrefix(abs, strings.TrimSuffix(root, "/")+"/"); ok {
			return rel, true
		}
	}
	return "", false
}

// at answers for a path below the data root: the nearest object above counts.
func (x *Index) at(rel string) *Answer {
	if own, ok := x.stored.below(path.Join(x.in.DataRoot, rel)); ok {
		return x.contained(own)
	}
	if a := x.mounted(rel); a != nil {
		return a
	}
	for name := rel; name != "."; name = path.Dir(name) {
		if p, ok := x.paths[name]; ok {
			return x.part(p)
		}
		if link := (scan.Node{Kind: scan.KindLink, Name: name}); x.g.Has(link) {
			return x.link(link)
		}
	}
	if below, ok := strings.CutPrefix(rel, "volumes/"); ok {
		if volume, _, inside := strings.Cut(below, "/"); inside || x.isDir(rel) {
			return x.volume(volume)
		}
	}
	return &Answer{Name: rel, Place: place(x.in.Backends, rel)}
}

func (x *Index) isDir(rel string) bool {
	info, err := x.in.Tree.Stat(rel)
	return err == nil && info.Mode.IsDir()
}

// link answers for a short link: it is its layer's.
func (x *Index) link(link scan.Node) *Answer {
	for r := range x.edges.From(link) {
		if p, ok := x.paths[r.To.Name]; ok {
			return x.part(p)
		}
	}
	return &Answer{Name: link.Name}
}

// volume answers for a volume that is known by name.
func (x *Index) volume(name string) *Answer {
	node := scan.VolumeNode(scan.Printable(name))
	a := &Answer{Name: node.Name, Place: "volume " + path.Base(node.Name)}
	x.users(a, node)
	return a
}

// ID says whose an id is: that of a directory, a record, a short link or a
// volume, or the beginning of one of the first two; or a container's name.
// Several may have it.
func (x *Index) ID(id string) []*Answer {
	id = strings.TrimPrefix(id, "sha256:")
	if found := x.names[id]; len(found) > 0 {
		return append(x.parts(found), x.recorded(id, true)...)
	}
	if found := x.recorded(id, true); len(found) > 0 {
		return found
	}
	for n := range x.g.Nodes {
		switch {
		case n.Kind == scan.KindLink && path.Base(n.Name) == id:
			return []*Answer{x.link(n)}
		case n.Kind == scan.KindContainer && x.g.TitleOf(n) == id:
			return append(x.parts(x.names[path.Base(n.Name)]), x.recorded(path.Base(n.Name), true)...)
		}
	}
	if !strings.Contains(id, "/") && id != "" && x.isDir("volumes/"+id) {
		return []*Answer{x.volume(id)}
	}
	var found []part
	for name, parts := range x.names {
		if len(id) >= shortest && strings.HasPrefix(name, id) {
			found = append(found, parts...)
		}
	}
	return append(x.parts(found), x.recorded(id, false)...)
}

// shortest is how much of an id must be given at least.
const shortest = 4

// parts answers for parts, once a finding, in the order of their names.
func (x *Index) parts(parts []part) []*Answer {
	var found []*Answer
	seen := map[*scan.Finding]bool{}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.object.Name, b.object.Name) })
	for _, p := range parts {
		if !seen[p.finding] {
			seen[p.finding] = true
			found = append(found, x.part(p))
		}
	}
	return found
}

// part answers for an object of a finding.
func (x *Index) part(p part) *Answer {
	if a := x.answers[p.object.Node]; a != nil {
		return a
	}
	a := &Answer{Name: p.object.Name, Finding: p.finding}
	var nodes []scan.Node
	for _, o := range p.finding.Parts {
		nodes = append(nodes, o.Node)
	}
	x.users(a, nodes...)
	x.answers[p.object.Node] = a
	return a
}

// place says what a directory of the data root is that is nobody's alone.
func place(backends []*scan.Backend, rel string) string {
	for _, b := range backends {
		switch rel {
		case b.Name, b.Dir:
			return "all layers of the storage driver " + b.Name
		case b.Dir + "/l":
			return "short links to the layers of " + b.Name
		}
	}
	top, _, inside := strings.Cut(rel, "/")
	what := places[top]
	if driver.Named(top) != nil {
		what = "the storage driver " + top
	}
	if inside && what != "" {
		return "in " + top + ": " + what
	}
	return what
}

// places are the directories of a data root (moby daemon, daemon/config).
var places = map[string]string{
	".":               "the data root",
	".docker-orphans": "what docker orphans has put aside, and its journals",
	"buildkit":        "databases and state of BuildKit",
	"builder":         "state of the classic builder",
	"containerd":      "what a containerd of the daemon's own keeps",
	"containers":      "all containers",
	"engine-id":       "the daemon's own id",
	"image":           "records of images and layers",
	"network":         "databases of networks",
	"plugins":         "plugins",
	"runtimes":        "scripts that start container runtimes",
	"swarm":           "state of the swarm",
	"tmp":             "temporary files of the daemon",
	"trust":           "keys of image signatures",
	"volumes":         "all volumes",
}
