package scan

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// batch is how many items a goroutine takes at a time: reading one takes
// microseconds.
const batch = 64

// Parallel calls f for every number below n, on every processor at once, and
// returns when all calls have. Backends and sources use it to read; what was
// read goes into the graph afterwards, one by one, in the order of the list.
// The only error is a cancelled context.
func Parallel(ctx context.Context, n int, f func(i int)) error {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+batch-1)/batch) {
		group.Add(1)
		go func() {
			defer group.Done()
			for ctx.Err() == nil {
				end := int(next.Add(batch))
				for i := end - batch; i < min(end, n); i++ {
					f(i)
				}
				if end >= n {
					return
				}
			}
		}()
	}
	group.Wait()
	return ctx.Err()
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

// Enter adds a page to the graph.
func (g *Graph) Enter(p *Page) {
	for _, o := range p.Objects {
		g.Add(o)
	}
	for _, r := range p.Refs {
		g.Refer(r.From, r.To, r.Why)
	}
	g.Doubts = append(g.Doubts, p.Doubts...)
}
