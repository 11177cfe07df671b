package scan

import (
	"cmp"
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"
)

const (
	// batch is how many items a goroutine takes at a time: reading one takes
	// microseconds.
	batch = 64
	// ahead is how many batches may be read before they are taken: what was
	// read of them is all that a long list costs in memory.
	ahead = 16
)

// Parallel calls read for every number below n, on every processor at once,
// and take with what came of it, one by one and in order. Backends and sources
// use it: reading goes beside, and into the graph goes only what take puts
// there; so read must not look at the graph. It ends early with take's error
// or that of a cancelled context.
func Parallel[T any](ctx context.Context, n int, read func(i int) T, take func(i int, t T) error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan chan []T, ahead)
	go func() {
		defer close(batches)
		var group errgroup.Group
		group.SetLimit(runtime.GOMAXPROCS(0))
		for start := 0; start < n && inner.Err() == nil; start += batch {
			done := make(chan []T, 1)
			batches <- done
			group.Go(func() error {
				done <- readBatch(inner, start, min(start+batch, n), read)
				return nil
			})
		}
	}()
	var failed error
	i := 0
	for done := range batches {
		for _, t := range <-done {
			if inner.Err() != nil {
				break // what was begun ends, for nothing
			}
			if failed = take(i, t); failed != nil {
				cancel()
			}
			i++
		}
	}
	return cmp.Or(failed, ctx.Err())
}

func readBatch[T any](ctx context.Context, start, end int, read func(i int) T) []T {
	items := make([]T, 0, end-start)
	for i := start; i < end && ctx.Err() == nil; i++ {
		items = append(items, read(i))
	}
	return items
}

// A Page is what was read of one thing, before it goes into a graph.
type Page struct {
	Objects []Object
	Refs    []Ref
	Doubts  []Doubt
	Err     error // what keeps the list that the thing is of from being complete
}

// Refer notes a reference: from needs to.
func (p *Page) Refer(from, to Node, why Why) { p.Refs = append(p.Refs, Ref{from, to, why}) }

// Enter adds a page to the graph, and returns what keeps the list that it is
// of from being complete.
func (g *Graph) Enter(p *Page) error {
	for _, o := range p.Objects {
		g.Add(o)
	}
	for _, r := range p.Refs {
		g.Refer(r.From, r.To, r.Why)
	}
	g.Doubts = append(g.Doubts, p.Doubts...)
	return p.Err
}
