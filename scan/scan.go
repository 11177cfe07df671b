package scan

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Scan reads everything there is to know. It decides nothing and returns no
// error: what could not be read is a doubt in the graph.
//
// Objects are enumerated first and references are collected second. The
// daemon makes a layer's directory before it records it. Had the records been
// read first, a layer made and recorded in between would be listed without a
// record: a live layer that looks like an orphan. In this order a layer may be
// listed before its record is written. Most often the layer is as new as that,
// which its age covers; but an old layer of a build gets a record when an image
// is made of it. The sources are read in the order of their list for the same
// reason, each record before the records that name it: a record that was made
// since is read when something names it.
func Scan(ctx context.Context, in *Input, sources []*Source) *Graph {
	g := NewGraph()
	g.Host = in.Host
	for _, b := range in.Backends {
		report := Report{Source: b.source(), Began: in.Now()}
		before := len(g.Objects)
		err := b.Enumerate(ctx, in, g)
		report.Note = strings.Join(append([]string{fmt.Sprintf("%d objects", len(g.Objects)-before)}, g.notes...), "; ")
		g.notes = nil
		g.finish(in, report, err, Scope{Backend: b.Name})
	}
	for _, s := range sources {
		report := Report{Source: s.ID, Began: in.Now()}
		note, err := s.Collect(ctx, in, g)
		report.Note = note
		g.finish(in, report, err, Scope{})
	}
	g.addLate(ctx, in, sources)
	for _, b := range in.Backends {
		if b.Verify != nil {
			b.Verify(ctx, in, g)
		}
	}
	g.created(ctx, in)
	return g
}

// created asks the backends when their layers were made, where the layers'
// own directories do not tell. What cannot be told is a doubt.
func (g *Graph) created(ctx context.Context, in *Input) {
	for _, b := range in.Backends {
		if b.Created == nil {
			continue
		}
		for i := range g.Objects {
			o := &g.Objects[i]
			if o.Kind != KindLayer || o.Backend != b.Name || o.Unrecognised != "" {
				continue
			}
			made, err := b.Created(ctx, in, o)
			g.made(b, o, made, err)
		}
	}
}

// made notes when a backend says that a layer was made, or that it cannot.
func (g *Graph) made(b *Backend, o *Object, made time.Time, err error) {
	if err == nil && made.IsZero() {
		err = errors.New("not told")
	}
	if err != nil {
		made = time.Time{}
	}
	if !made.Equal(o.Stamp.Made()) {
		o.Annotate().Created = &made
	}
	if err != nil {
		g.Doubt(Doubt{
			Source: SourceID("backend " + b.Name), Where: o.Name, Err: "when it was made: " + err.Error(),
			Scope: Scope{Nodes: []Node{o.Node}},
		})
	}
}

// backendOf is the backend whose layer or record a node is; nil if it is
// none's.
func (in *Input) backendOf(n Node) *Backend {
	for _, b := range in.Backends {
		if strings.HasPrefix(n.Name, b.Dir+"/") || strings.HasPrefix(n.Name, "image/"+b.Name+"/") {
			return b
		}
	}
	return nil
}

// finish records how a reading went. An error becomes a doubt over the given
// scope, unless the reading left one as wide.
func (g *Graph) finish(in *Input, r Report, err error, scope Scope) {
	r.Ended = in.Now()
	r.Complete = err == nil
	g.Reports = append(g.Reports, r)
	if err == nil {
		return
	}
	for _, d := range g.Doubts {
		wide := reflect.DeepEqual(d.Scope, scope) || reflect.DeepEqual(d.Scope, Scope{})
		if d.Source == r.Source && d.Of == (Node{}) && wide {
			return
		}
	}
	g.Doubt(Doubt{Source: r.Source, Where: string(r.Source), Err: err.Error(), Scope: scope})
}

// Judge classifies, walks those findings whose verdict depends on what lies
// below them, and classifies again. The only error is a cancelled context.
func Judge(ctx context.Context, in *Input, g *Graph, p Policy) ([]Finding, error) {
	findings := Classify(g, p)
	var walk []*Finding
	for i := range findings {
		if findings[i].Unwalked {
			walk = append(walk, &findings[i])
		}
	}
	if len(walk) == 0 {
		return findings, ctx.Err()
	}
	if err := measure(ctx, in, g, walk, func(int, *Finding) {}); err != nil {
		return nil, err
	}
	return Classify(g, p), nil
}

// Measure walks the findings' parts that were not walked yet, in parallel,
// and fills their Usage. What several of them share is counted for the last of
// them, if it goes with them all. progress is called as findings are done,
// never from two goroutines at once. The only error is a cancelled context.
func Measure(ctx context.Context, in *Input, g *Graph, findings []*Finding, progress func(done, total int)) error {
	shared := ledger{}
	done := 0
	err := measure(ctx, in, g, findings, func(place int, f *Finding) {
		for _, o := range f.Parts {
			shared.enter(place, o.Usage)
		}
		done++
		if progress != nil {
			progress(done, len(findings))
		}
	})
	if err == nil {
		shared.settle()
	}
	return err
}

// measure walks what was not walked yet. ended is called for each finding,
// never from two goroutines at once.
func measure(ctx context.Context, in *Input, g *Graph, findings []*Finding, ended func(place int, f *Finding)) error {
	watch := Watch{}
	for _, s := range g.Host.Strays {
		watch[s.FileKey] = s.By
	}
	sizes := map[string]func() (map[string]int64, error){}
	for _, b := range in.Backends {
		if b.Sizes != nil {
			sizes[b.Name] = sync.OnceValues(func() (map[string]int64, error) { return b.Sizes(in) })
		}
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for place, f := range findings {
		group.Go(func() error {
			for _, o := range f.Parts {
				if o.Usage != nil {
					continue
				}
				usage, err := in.walk(ctx, watch, f.Verdict, o)
				if err != nil {
					return err
				}
				if o.Medium.Apart() {
					usage.addApart(o, sizes[o.Backend])
				}
				o.Usage = &usage
			}
			mu.Lock()
			defer mu.Unlock()
			ended(place, f)
			return nil
		})
	}
	return group.Wait()
}

// walk walks one object of a finding, as far as its data may be looked at.
func (in *Input) walk(ctx context.Context, watch Watch, v Verdict, o *Object) (Usage, error) {
	if away := o.away(v); away != "" {
		return Usage{Problem: away}, nil
	}
	if o.unrecorded() {
		return Usage{Complete: true}, ctx.Err() // it has no file
	}
	return in.Tree.Walk(ctx, watch, o.Paths()...)
}

// addApart adds what an object has that lies apart from its files, if that is
// told.
func (u *Usage) addApart(o *Object, sizes func() (map[string]int64, error)) {
	why := "what a " + string(o.Medium) + " takes is not told by files"
	if h := o.Note().Handle; h != nil && sizes != nil {
		told, err := sizes()
		bytes, ok := told[h.Name]
		if err == nil && ok {
			u.Bytes += bytes
			return
		}
		if err != nil {
			why += ": " + err.Error()
		}
	}
	if u.Complete {
		u.Complete, u.Problem = false, why
	}
}
