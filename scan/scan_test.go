package scan

import (
	"context"
	"errors"
	"io/fs"
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

// A layer that was made after the layers were listed and before its record was
// read is known by its record: it is no riddle, and in use.
func TestMadeWhileReading(t *testing.T) {
	late := layerNode("late")
	source := &Source{ID: SourceLayerDB, Collect: func(_ context.Context, _ *Input, g *Graph) (string, error) {
		g.Live(ChainNode("overlay2", "chain"), "image", "x")
		g.Refer(ChainNode("overlay2", "chain"), late, ByCacheID)
		g.Refer(ChainNode("overlay2", "chain"), layerNode("gone"), ByParent)
		return "", nil
	}}
	b := &Backend{Name: "overlay2", Dir: "overlay2", Enumerate: func(context.Context, *Input, *Graph) error { return nil }}
	g := Scan(t.Context(), &Input{Tree: oneDir(late.Name), Backends: []*Backend{b}, Now: time.Now}, []*Source{source})
	found := g.Object(late)
	assert.Assert(t, found != nil && found.Backend == "overlay2")
	assert.Equal(t, verdictOf(t, g, late), Used)
	assert.Assert(t, g.Object(layerNode("gone")) == nil)
}

// A oneDir is a tree with one directory.
type oneDir string

func (d oneDir) Stat(name string) (Info, error) {
	if name != string(d) {
		return Info{}, fs.ErrNotExist
	}
	return Info{Mode: fs.ModeDir, Stamp: Stamp{Inode: 7}}, nil
}

func (oneDir) ReadDir(string) ([]Entry, error)        { return nil, fs.ErrNotExist }
func (oneDir) ReadFile(string, int64) ([]byte, error) { return nil, fs.ErrNotExist }
func (oneDir) ReadLink(string) (string, error)        { return "", fs.ErrNotExist }
func (oneDir) Open(string) (ReaderAt, error)          { return nil, fs.ErrNotExist }
func (oneDir) Walk(context.Context, Watch, ...string) (Usage, error) {
	return Usage{Complete: true}, nil
}
