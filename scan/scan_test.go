package scan

import (
	"context"
	"errors"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// What cannot be listed to the end puts all of its backend in doubt, whatever
// smaller doubts were met before.
func TestErrorsBecomeDoubts(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before []Doubt
		adds   int
	}{
		{"none before", nil, 1},
		{"one of a single layer", []Doubt{{Scope: Scope{Backend: "x", Nodes: []Node{layerNode("a")}}}}, 1},
		{"one that counts only at times", []Doubt{{Scope: Scope{Backend: "x"}, Of: layerNode("a")}}, 1},
		{"one of another source", []Doubt{{Source: "other"}}, 1},
		{"one as wide", []Doubt{{Scope: Scope{Backend: "x"}}}, 0},
		{"one of everything", []Doubt{{}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := &Backend{Name: "x", Enumerate: func(_ context.Context, _ *Input, g *Graph) error {
				for _, d := range tc.before {
					if d.Source == "" {
						d.Source = "backend x"
					}
					g.Doubt(d)
				}
				return errors.New("input/output error")
			}}
			g := Scan(t.Context(), &Input{Backends: []*Backend{b}, Now: time.Now}, nil)
			assert.Equal(t, len(g.Doubts), len(tc.before)+tc.adds)
			assert.Assert(t, !g.Reports[0].Complete)
		})
	}
}

// A layer in use names a short link that leads nowhere: any layer may be the
// one that it misses.
func TestLinkWithoutTargetIsADoubt(t *testing.T) {
	g := testGraph()
	old := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	top, stray, below := g.addLayer("top", old), g.addLayer("stray", old), g.addLayer("below", old)
	link := Node{KindLink, "overlay2/l/LINK"}
	g.Live(top, "image", "x")
	g.Refer(top, link, ByLower)
	assert.Equal(t, verdictOf(t, g, stray), Unsure)
	g.Refer(link, below, ByLink)
	assert.Equal(t, verdictOf(t, g, stray), Orphan)
	assert.Equal(t, verdictOf(t, g, below), Used)
}
