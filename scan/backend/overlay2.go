package backend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Overlay2 keeps each layer as a difference to the layers it lies on:
//
//	overlay2/<id>/diff/      its own files
//	overlay2/<id>/link       its short name
//	overlay2/<id>/lower      the short names of the layers below, the nearest first
//	overlay2/<id>/work/      only if it has layers below
//	overlay2/l/<short> -> ../<id>/diff
//
// The kernel mounts by short name, so these edges count, whatever layerdb
// says (moby daemon/graphdriver/overlay2).
var Overlay2 = linked("overlay2")

// linked is the backend of a driver with overlay2's layout.
func linked(name string) *scan.Backend {
	l := &links{dirs: dirs{backend: name, dir: name}}
	l.other = func(name string) bool { return name == "l" || probe(name) || isNumber(name) }
	l.inspect = l.lower
	return &scan.Backend{
		Name: name, Doc: "overlay mounts, one directory a layer with short links", Dir: name,
		Enumerate: l.enumerate, Layer: l.layer,
	}
}

// links is the shape dirs with short links between the layers.
type links struct{ dirs }

// link is the node of a short name.
func (l *links) link(short string) scan.Node {
	return scan.Node{Kind: scan.KindLink, Name: l.dir + "/l/" + short}
}

// enumerate adds the layers, then the links. A layer names only links that
// were made before it, so links read second are all there.
func (l *links) enumerate(ctx context.Context, in *scan.Input, g *scan.Graph) error {
	if err := l.dirs.enumerate(ctx, in, g); err != nil {
		return err
	}
	entries, err := in.Tree.ReadDir(l.dir + "/l")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // if it is missing, either no layer was ever made or every lower file leads nowhere, which Classify sees
	}
	read := func(i int) target {
		to, err := in.Tree.ReadLink(l.link(entries[i].Name).Name)
		return target{to, err}
	}
	take := func(i int, t target) error { return l.addLink(in, g, entries[i], t) }
	if err := scan.Parallel(ctx, len(entries), read, take); err != nil {
		return err
	}
	return l.unlinked(ctx, in, g)
}

// unlinked adds the short names of layers that no link leads to, from their
// link files: what lies on such a layer names a link that was lost.
func (l *links) unlinked(ctx context.Context, in *scan.Input, g *scan.Graph) error {
	edges := g.Edges()
	for i := range g.Objects {
		o := &g.Objects[i]
		if o.Kind != scan.KindLayer || o.Backend != l.backend || o.Unrecognised != "" || edges.Needed(o.Node, scan.ByLink) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		short, err := in.Word(o.Name+"/link", small)
		if err == nil && !scan.IsLinkName(short) {
			err = fmt.Errorf("link: %q is not a short name", short)
		}
		switch {
		case err == nil:
			g.Refer(l.link(short), o.Node, scan.ByLinkFile)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, scan.ErrEmpty):
			// Being made or half removed: nothing was ever mounted on it.
		default:
			g.Doubt(l.unknownParents(o.Node, err))
		}
	}
	return nil
}

// A target is what a link was found to lead to.
type target struct {
	to  string
	err error
}

// lower reads what lies below a layer.
func (l *links) lower(in *scan.Input, p *scan.Page, layer scan.Node) error {
	lower, err := in.Word(layer.Name+"/lower", small)
	if errors.Is(err, fs.ErrNotExist) {
		return l.base(in, layer)
	}
	if err != nil {
		return err
	}
	p.Refs = make([]scan.Ref, 0, 1+strings.Count(lower, ":"))
	for element := range strings.SplitSeq(lower, ":") {
		short, ok := strings.CutPrefix(element, "l/")
		if !ok || !scan.IsLinkName(short) {
			return fmt.Errorf("lower: %q is not a short link", element)
		}
		p.Refer(layer, l.link(short), scan.ByLower)
	}
	return nil
}

// base checks that a layer without a lower file is one that lies on nothing:
// the driver makes work/ only for the others, and diff/ for all.
func (l *links) base(in *scan.Input, layer scan.Node) error {
	_, err := in.Tree.Stat(layer.Name + "/work")
	if err == nil {
		return errors.New("lower: missing, though work/ says that it lies on other layers")
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = in.Tree.Stat(layer.Name + "/diff")
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("lower: missing, and so is diff/: what it lay on is not known")
	}
	return err
}

// addLink adds one entry of l/: a reference to its layer, or an object if the
// layer is gone.
func (l *links) addLink(in *scan.Input, g *scan.Graph, e scan.Entry, found target) error {
	node := l.link(e.Name)
	o := scan.Object{Node: node, Backend: l.backend, Medium: scan.File}
	var id string
	switch {
	case errors.Is(found.err, fs.ErrNotExist):
		return nil // removed since it was listed
	case e.Type&fs.ModeSymlink == 0:
		o.Unrecognised = "not a symbolic link"
	case found.err != nil:
		return found.err
	case !scan.IsLinkName(e.Name):
		o.Unrecognised = "the driver gives no link such a name"
	default:
		var ok bool
		if id, ok = linkTarget(found.to); !ok {
			o.Unrecognised = fmt.Sprintf("leads to %q, which is no layer's diff", found.to)
		}
	}
	if o.Unrecognised != "" {
		o.Name = l.dir + "/l/" + scan.Printable(e.Name)
	} else if g.Object(l.layer(id)) != nil || !in.Gone(l.layer(id).Name) {
		g.Refer(node, l.layer(id), scan.ByLink)
		return nil
	} else if g.Has(node) {
		return nil // a lower file names it: it is part of a damaged layer, not a leftover
	}
	info, err := in.Tree.Stat(node.Name)
	if err == nil {
		o.Stamp = info.Stamp
	} else if o.Unrecognised == "" {
		return nil // removed since it was listed
	}
	if o.Unrecognised == "" {
		o.Annotate().Was = "link to " + scan.Short(id)
	}
	g.Add(o)
	if o.Unrecognised == "" {
		// Should the layer come back, from a backup or a disk that was not
		// mounted, it needs its link: whatever needs the layer needs both.
		g.Refer(l.layer(id), node, scan.ByShortName)
	}
	return nil
}

// linkTarget returns the layer's id of a link's target "../<id>/diff".
func linkTarget(target string) (string, bool) {
	id, ok := strings.CutPrefix(target, "../")
	if !ok {
		return "", false
	}
	id, ok = strings.CutSuffix(id, "/diff")
	return id, ok && scan.IsLayerID(id)
}

// isNumber reports a name of digits alone: the directory of a driver's test
// for mounts in a user namespace (20.10 on).
func isNumber(name string) bool {
	return name != "" && strings.Trim(name, "0123456789") == ""
}
