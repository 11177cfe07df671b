package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// addLate adds what references name and enumeration did not see, if it is on
// disk now: it was made in between. Records say what they need in turn. What is
// still not there, or is there and names nothing, stays without an object, and
// if something live needs it Classify makes that a doubt. That it cannot be told
// is one by itself.
func (g *Graph) addLate(ctx context.Context, in *Input, sources []*Source) {
	finder := g.Finder(in)
	for i := 0; i < g.refs.len(); i++ { // those of late records come to the end of it
		to := g.refs.at(int32(i)).to
		n := g.nodes[to]
		if g.object(to) != nil || !n.Kind.onDisk() || g.Object(Node{KindRecord, n.Name}) != nil {
			continue
		}
		if g.readLate(ctx, in, sources, n) {
			if g.object(to) != nil {
				finder = g.Finder(in) // the record may be younger than what the other has asked
			}
			continue
		}
		switch o, err := finder.find(ctx, n); {
		case err == nil:
			g.Add(o)
		case !errors.Is(err, fs.ErrNotExist):
			g.Doubt(Doubt{Source: SourceLayerDB, Where: n.Name, Err: err.Error(), Scope: Scope{Nodes: []Node{n}}})
		}
	}
}

// readLate reads a record, if it is one of any source's.
func (g *Graph) readLate(ctx context.Context, in *Input, sources []*Source, n Node) bool {
	for _, s := range sources {
		if s.Late == nil {
			continue
		}
		own, err := s.Late(ctx, in, g, n)
		if err != nil {
			g.Doubt(Doubt{Source: s.ID, Where: n.Name, Err: err.Error(), Scope: lostScope})
		}
		if own {
			return true
		}
	}
	return false
}

// Listed reports whether a backend's layers were listed to the end.
func (g *Graph) Listed(b *Backend) bool {
	return slices.ContainsFunc(g.Reports, func(r Report) bool { return r.Source == b.source() && r.Complete })
}

// A Finder looks for things on disk that were not listed. It asks each backend
// once, with its first question: what was read after that may name what was made
// since, and needs another Finder.
type Finder struct {
	g     *Graph
	in    *Input
	asked map[string]asked // by backend
}

type asked struct {
	find func(Node) (Object, error)
	err  error
}

// Finder returns a finder that has asked nothing yet.
func (g *Graph) Finder(in *Input) *Finder {
	return &Finder{g: g, in: in, asked: map[string]asked{}}
}

// Layer looks for a layer. One that is gone is an error that satisfies
// errors.Is(err, fs.ErrNotExist).
func (f *Finder) Layer(ctx context.Context, n Node) error {
	_, err := f.find(ctx, n)
	return err
}

// find looks for a thing. A layer that lies apart is taken to be there if no list
// could be had: the doubt about that covers it.
func (f *Finder) find(ctx context.Context, n Node) (Object, error) {
	o := Object{Node: n}
	if b := f.in.backendOf(n); b != nil {
		o.Backend = b.Name
		switch {
		case n.Kind != KindLayer || b.Lookup == nil:
		case f.g.Listed(b):
			return f.ask(ctx, b, n)
		default:
			o.Medium = b.Medium
			return o, nil
		}
	}
	info, err := f.in.Tree.Stat(n.Name)
	if err == nil && !info.Mode.IsDir() {
		err = fmt.Errorf("%s: not a directory", n.Name)
	}
	o.Medium, o.Stamp = info.Medium(), info.Stamp
	return o, err
}

// ask asks a backend for one of its layers.
func (f *Finder) ask(ctx context.Context, b *Backend, n Node) (Object, error) {
	l, known := f.asked[b.Name]
	if !known {
		l.find, l.err = b.Lookup(ctx, f.in)
		f.asked[b.Name] = l
	}
	if l.err != nil {
		return Object{}, l.err
	}
	return l.find(n)
}
