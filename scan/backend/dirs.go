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
	pages := make([]scan.Page, len(entries))
	if err := scan.Parallel(ctx, len(entries), func(i int) { d.read(in, &pages[i], entries[i]) }); err != nil {
		return err
	}
	ids := make(map[string]bool, len(entries))
	for i := range pages {
		g.Enter(&pages[i])
		if pages[i].Err != nil {
			return pages[i].Err
		}
		ids[entries[i].Name] = true
	}
	for _, e := range entries {
		if ids[e.Name+"-init"] {
			g.Refer(d.layer(e.Name), d.layer(e.Name+"-init"), scan.ByInitName)
		}
	}
	return nil
}

// read reads one entry of the directory. Only a failure that keeps the list
// from being complete is the page's error.
func (d *dirs) read(in *scan.Input, p *scan.Page, e scan.Entry) {
	name := d.dir + "/" + e.Name
	info, err := in.Tree.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return // removed since it was listed
	}
	if err != nil {
		p.Err = err
		return
	}
	o := scan.Object{
		Node: d.layer(e.Name), Backend: d.backend, Paths: []string{name},
		Medium: scan.Directory, Stamp: info.Stamp, Unrecognised: unrecognised(e.Name, info.Mode),
	}
	if o.Unrecognised != "" {
		o.Name = d.dir + "/" + scan.Printable(e.Name)
		o.Paths[0] = o.Name
	}
	p.Objects = append(p.Objects, o)
	if !info.Mode.IsDir() || d.inspect == nil {
		return
	}
	// A directory of some other name may still lie on layers; if not, that is
	// no reason to doubt any.
	if err := d.inspect(in, p, o.Node); err != nil && o.Unrecognised == "" && !in.Gone(name) {
		p.Doubts = append(p.Doubts, d.unknownParents(o.Node, err))
	}
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
