package backend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Aufs keeps each layer as a difference to those it lies on (until 23), under
// one name in three directories:
//
//	aufs/diff/<id>/            its own files
//	aufs/layers/<id>           the ids of all layers below, the nearest first
//	aufs/mnt/<id>/             where it is mounted
//	aufs/diff/<id>-removing/   what is left of one that was removed, and the same in mnt
//
// All that has a layer's id is one thing (moby daemon/graphdriver/aufs).
var Aufs = func() *scan.Backend {
	a := &aufs{dirs{backend: "aufs", dir: "aufs/diff"}}
	a.other = func(name string) bool { _, ok := aufsRemoving(name); return ok }
	a.inspect = a.parents
	return &scan.Backend{
		Name: a.backend, Doc: "aufs mounts, one directory a layer with a list of those below", Dir: a.dir,
		Enumerate: a.enumerate, Layer: a.layer, Verify: a.verify,
	}
}()

const (
	aufsLayers = "aufs/layers"
	aufsMounts = "aufs/mnt"
)

type aufs struct{ dirs }

// aufsRemoving returns the id of the layer that a name is the remains of.
func aufsRemoving(name string) (id string, ok bool) {
	id, ok = strings.CutSuffix(name, "-removing")
	return id, ok && scan.IsLayerID(id)
}

// enumerate adds the layers, then what has their names beside them. The driver
// makes the directories first and the list of those below last.
func (a *aufs) enumerate(ctx context.Context, in *scan.Input, g *scan.Graph) error {
	before := len(g.Objects)
	if err := a.dirs.enumerate(ctx, in, g); err != nil {
		return err
	}
	none := len(g.Objects) == before
	for _, dir := range []string{aufsLayers, aufsMounts, a.dir} {
		entries, err := in.Tree.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // of layers whose lists are missing, parents says so
		}
		if err != nil {
			return err
		}
		if dir == aufsLayers && none && len(entries) > 0 {
			return fmt.Errorf("%s: is empty, while %s holds lists of layers", a.dir, dir)
		}
		if dir == a.dir {
			entries = slices.DeleteFunc(entries, func(e scan.Entry) bool { return !a.other(e.Name) })
		}
		read := func(i int) *scan.Page { return a.beside(in, dir, entries[i]) }
		take := func(i int, p *scan.Page) error {
			if dir == aufsLayers && g.Object(a.layer(entries[i].Name)) == nil {
				a.alone(in, p, entries[i].Name)
			}
			return g.Enter(p)
		}
		if err := scan.Parallel(ctx, len(entries), read, take); err != nil {
			return err
		}
	}
	a.compare(g)
	return nil
}

// beside reads what has a layer's name beside the layer.
func (a *aufs) beside(in *scan.Input, dir string, e scan.Entry) *scan.Page {
	p := &scan.Page{}
	name := dir + "/" + e.Name
	info, err := in.Tree.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p // removed since it was listed
	}
	if err != nil {
		p.Err = err
		return p
	}
	o := scan.Object{Node: scan.Node{Kind: scan.KindPart, Name: name}, Backend: a.backend, Medium: scan.Directory, Stamp: info.Stamp}
	id, removing := aufsRemoving(e.Name)
	switch {
	case removing && dir != aufsLayers:
		o.Unrecognised = unrecognised(id, info.Mode)
		o.Annotate().Was = "interrupted removal"
		o.Renamed()
	case dir == aufsLayers:
		id, o.Medium = e.Name, scan.File
		o.Unrecognised = unrecognisedFile(id, info.Mode)
	default:
		id = e.Name
		o.Unrecognised = unrecognised(id, info.Mode)
		if o.Unrecognised == "" {
			o.Unrecognised = a.filled(in, name)
		}
	}
	if scan.IsLayerID(id) {
		p.Refer(a.layer(id), o.Node, scan.ByName)
	} else {
		o.Name = dir + "/" + scan.Printable(e.Name)
	}
	p.Objects = append(p.Objects, o)
	return p
}

// unrecognisedFile is unrecognised for what should be a file.
func unrecognisedFile(name string, mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link where a file should be"
	case !mode.IsRegular():
		return "not a file"
	}
	return unrecognised(name, fs.ModeDir)
}

// filled says why a layer's mount point is none as the driver makes it: where
// nothing is mounted, nothing is in it. If something is, it is held.
func (a *aufs) filled(in *scan.Input, name string) string {
	entries, err := in.Tree.ReadDir(name)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "its mount point cannot be read: " + err.Error()
	case len(entries) > 0:
		return "its mount point is not empty: " + name
	}
	return ""
}

// alone adds what a layer lies on of which only the list is left: should it
// come back, it needs them.
func (a *aufs) alone(in *scan.Input, p *scan.Page, id string) {
	if !scan.IsLayerID(id) {
		return
	}
	if err := a.parents(in, p, a.layer(id)); err != nil {
		p.Doubts = append(p.Doubts, a.unknownParents(a.layer(id), err))
	}
}

// parents reads what a layer lies on.
func (a *aufs) parents(in *scan.Input, p *scan.Page, layer scan.Node) error {
	id := strings.TrimPrefix(layer.Name, a.dir+"/")
	name := aufsLayers + "/" + id
	data, err := in.Tree.ReadFile(name, small)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: missing: what it lies on is not known", name)
	}
	if err != nil {
		return err
	}
	text := string(data)
	if text != "" && !strings.HasSuffix(text, "\n") {
		return fmt.Errorf("%s: is cut off", name)
	}
	below := strings.Fields(text)
	for i, lower := range below {
		if !scan.IsLayerID(lower) || lower == id || slices.Contains(below[:i], lower) {
			return fmt.Errorf("%s: %q is not the id of another layer", name, lower)
		}
	}
	for _, lower := range below {
		p.Refer(layer, a.layer(lower), scan.ByLower)
	}
	return nil
}

// compare doubts what layers lie on whose lists contradict each other: that of
// a layer goes on as that of the nearest below.
func (a *aufs) compare(g *scan.Graph) {
	edges := g.Edges()
	below := func(n scan.Node) (nodes []scan.Node) {
		for r := range edges.From(n) {
			if r.Why == scan.ByLower {
				nodes = append(nodes, r.To)
			}
		}
		return nodes
	}
	for i := range g.Objects {
		o := &g.Objects[i]
		if o.Kind != scan.KindLayer || o.Backend != a.backend {
			continue
		}
		list := below(o.Node)
		if len(list) == 0 || g.Object(list[0]) == nil || slices.Equal(list[1:], below(list[0])) {
			continue
		}
		err := fmt.Errorf("lists other layers than that of %s, which lies on it", o.Name)
		g.Doubt(a.unknownParents(list[0], err))
	}
}

// verify doubts layers that lie on nothing, though what names them lies on
// something: their lists were lost.
func (a *aufs) verify(_ context.Context, _ *scan.Input, g *scan.Graph) {
	edges := g.Edges()
	for i := range g.Objects {
		o := &g.Objects[i]
		if o.Kind != scan.KindLayer || o.Backend != a.backend || o.Unrecognised != "" {
			continue
		}
		if on := a.recordsParent(edges, o.Node); on != "" {
			g.Doubt(a.unknownParents(o.Node, fmt.Errorf("lies on nothing, but %s does", on)))
		}
	}
}

// recordsParent is a record of a layer that says that it lies on another,
// where the layer's own list says that it lies on none.
func (a *aufs) recordsParent(edges *scan.Edges, layer scan.Node) string {
	for r := range edges.From(layer) {
		if r.Why == scan.ByLower {
			return ""
		}
	}
	for r := range edges.To(layer) {
		switch r.Why {
		case scan.ByCacheID, scan.ByMountID, scan.ByInitID, scan.BySameID:
		default:
			continue
		}
		for up := range edges.From(r.From) {
			if up.Why == scan.ByParent || up.Why == scan.ByImage {
				return r.From.Name
			}
		}
	}
	return ""
}
