package backend

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// dirs is the shape that most graphdrivers share: one directory for all
// layers, one directory in it for each.
type dirs struct {
	backend string
	dir     string
	// other reports names that the driver makes beside its layers: probes,
	// device nodes. They are no layers and nobody's data.
	other func(name string) bool
	// inspect adds what the driver keeps inside of one layer's directory:
	// its physical parents. An error means that they are not known.
	inspect func(in *scan.Input, p *scan.Page, layer scan.Node) error
}

// layer is the node of a layer's id.
func (d *dirs) layer(id string) scan.Node {
	return scan.Node{Kind: scan.KindLayer, Name: d.dir + "/" + id}
}

// enumerate adds every layer.
func (d *dirs) enumerate(ctx context.Context, in *scan.Input, g *scan.Graph) error {
	entries, err := in.Tree.ReadDir(d.dir)
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e scan.Entry) bool { return d.other(e.Name) })
	g.Expect(len(entries))
	read := func(i int) *scan.Page { return d.read(in, entries[i]) }
	if err := scan.Parallel(ctx, len(entries), read, func(_ int, p *scan.Page) error { return g.Enter(p) }); err != nil {
		return err
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name, "-init")
		if _, found := slices.BinarySearchFunc(entries, id, byName); ok && found {
			g.Refer(d.layer(id), d.layer(e.Name), scan.ByInitName)
		}
	}
	return nil
}

// byName finds an entry of a list that is sorted by name.
func byName(e scan.Entry, name string) int { return strings.Compare(e.Name, name) }

// read reads one entry of the directory. Only a failure that keeps the list
// from being complete is the page's error.
func (d *dirs) read(in *scan.Input, e scan.Entry) *scan.Page {
	p := &scan.Page{}
	name := d.dir + "/" + e.Name
	info, err := in.Tree.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p // removed since it was listed
	}
	if err != nil {
		p.Err = err
		return p
	}
	o := scan.Object{
		Node: scan.Node{Kind: scan.KindLayer, Name: name}, Backend: d.backend,
		Medium: info.Medium(), Stamp: info.Stamp, Unrecognised: unrecognised(e.Name, info.Mode),
	}
	if info.Subvolume != 0 {
		o.Annotate().Subvolume = info.Subvolume
	}
	if o.Unrecognised != "" {
		o.Name = d.dir + "/" + scan.Printable(e.Name)
	}
	p.Objects = append(p.Objects, o)
	if !info.Mode.IsDir() || d.inspect == nil {
		return p
	}
	// A directory of some other name may still lie on layers; if not, that is
	// no reason to doubt any.
	if err := d.inspect(in, p, o.Node); err != nil && o.Unrecognised == "" && !in.Gone(name) {
		p.Doubts = append(p.Doubts, d.unknownParents(o.Node, err))
	}
	return p
}

// unknownParents is the doubt of a layer of which it cannot be told what lies
// below it.
func (d *dirs) unknownParents(layer scan.Node, err error) scan.Doubt {
	return scan.Doubt{
		Source: scan.SourceID("backend " + d.backend), Where: layer.Name, Err: err.Error(),
		Hint:  "what this layer lies on is not known; it may be any layer",
		Scope: scan.Scope{Backend: d.backend, Types: []scan.Type{scan.TypeLayer, scan.TypeImageLayer}}, Of: layer,
	}
}

// unrecognised says why an entry is not a layer as we know it, or "".
func unrecognised(name string, mode fs.FileMode) string {
	switch {
	case !scan.IsLayerID(name):
		return "no graphdriver gives such a name"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link where a directory should be"
	case !mode.IsDir():
		return "not a directory"
	}
	return ""
}

// probe reports names of tests that graphdrivers make when they start and may
// leave behind (moby graphdriver/overlay2 and overlayutils).
func probe(name string) bool {
	for _, prefix := range []string{
		"opaque-bug-check", "metacopy-check", "check-overlayfs-support", "multiple-lowerdir-check", "naive-check-", "fsutils-dummy",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "backingFsBlockDev"
}

// small is the limit of a link or lower file: 125 layers × 29 bytes fit many
// times.
const small = 64 << 10
