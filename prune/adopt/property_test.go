//go:build linux

package adopt

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"gotest.tools/v3/assert"
	"pgregory.net/rapid"
)

// A wood is a random registry of layers as the disk has it, and a daemon that
// knows of it what it must know, and of the rest what chance will.
type wood struct {
	g      *scan.Graph
	chains []scan.Node
	going  []scan.Finding
	whole  bool // the daemon knows everything
	daemon *model
}

var (
	daemonStart = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	before      = scan.Stamp{Change: daemonStart.Add(-time.Hour)}
	after       = scan.Stamp{Change: daemonStart.Add(time.Hour)}
)

func drawWood(t *rapid.T) *wood {
	w := &wood{g: scan.NewGraph(), daemon: &model{layers: map[string]*modelLayer{}}, whole: rapid.Bool().Draw(t, "whole")}
	w.g.Host.Info.Driver = "overlay2"
	w.g.Host.Owner, w.g.Host.TmpMade = &scan.Process{Started: daemonStart}, daemonStart
	n := rapid.IntRange(1, 10).Draw(t, "chains")
	for i := range n {
		w.addChain(t, i)
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "holders") {
		w.addHolder(t, i)
	}
	return w
}

// addChain adds a chain on one of those before, or a base.
func (w *wood) addChain(t *rapid.T, i int) {
	node := scan.ChainNode("overlay2", fmt.Sprintf("%064x", i))
	layer := scan.Node{Kind: scan.KindLayer, Name: fmt.Sprintf("overlay2/%064x", i)}
	chain := &scan.Object{Node: node, Backend: "overlay2", Stamp: before}
	if rapid.IntRange(0, 3).Draw(t, "late") == 0 {
		chain.Stamp = after
	}
	w.g.Add(*chain)
	w.g.Add(scan.Object{Node: layer, Backend: "overlay2"})
	w.g.Refer(node, layer, scan.ByCacheID)
	parent := rapid.IntRange(-1, i-1).Draw(t, "parent")
	known := &modelLayer{}
	if parent >= 0 {
		known.parent = chainOf(w.chains[parent])
		w.g.Refer(node, w.chains[parent], scan.ByParent)
	}
	// It knows what was there when it started, on what was there.
	if w.whole || chain.Stamp == before || rapid.Bool().Draw(t, "known") {
		if on := w.daemon.layers[known.parent]; on != nil || parent < 0 {
			w.daemon.layers[chainOf(node)] = known
			if on != nil {
				on.refs++
			}
		}
	}
	w.chains = append(w.chains, node)
	if rapid.IntRange(0, 3).Draw(t, "goes") > 0 {
		w.going = append(w.going, scan.Finding{
			ID: node.Name, Type: scan.TypeImageLayer, Backend: "overlay2", Verdict: scan.Orphan, Parts: []*scan.Object{chain, w.g.Object(layer)},
		})
	}
}

// addHolder adds something that needs a chain. The daemon counts what it lists
// and what was there when it started.
func (w *wood) addHolder(t *rapid.T, i int) {
	on := rapid.SampledFrom(w.chains).Draw(t, "on")
	counts := w.whole || rapid.Bool().Draw(t, "counts")
	switch rapid.IntRange(0, 4).Draw(t, "holder") {
	case 0:
		if w.daemon.layers[chainOf(on)] == nil {
			return // it lists no image whose layers it does not know
		}
		image := scan.ImageNode(fmt.Sprint("listed", i))
		w.g.Live(image, "image", "GET /images/json")
		for _, c := range w.below(on) {
			w.g.Refer(image, c, scan.ByDiffIDs)
		}
		counts = true
	case 1:
		image := scan.ImageNode(fmt.Sprint("disk", i))
		w.g.Live(image, "image", "imagedb")
		for _, c := range w.below(on) {
			w.g.Refer(image, c, scan.ByDiffIDs)
		}
	case 2, 3:
		record := scan.Object{Node: scan.MountNode("overlay2", fmt.Sprint("m", i)), Stamp: before}
		if rapid.Bool().Draw(t, "late") {
			record.Stamp = after
		} else {
			counts = true
		}
		w.g.Add(record)
		w.g.Refer(record.Node, on, scan.ByParent)
	case 4:
		w.g.Refer(scan.Node{Kind: scan.KindBuild, Name: fmt.Sprint("b", i)}, on, scan.BySnapshot)
	}
	if l := w.daemon.layers[chainOf(on)]; l != nil && counts {
		l.refs++
	}
}

// below lists a chain and what it lies on.
func (w *wood) below(n scan.Node) []scan.Node {
	list := []scan.Node{n}
	for r := range w.g.Refs {
		if r.From == n && r.Why == scan.ByParent {
			list = append(list, w.below(r.To)...)
		}
	}
	return list
}

func chainOf(n scan.Node) string { return "sha256:" + n.Name[strings.LastIndexByte(n.Name, '/')+1:] }

// adopt does what loading and removing does, and returns what is deleted.
func (w *wood) adopt(c Cascade) []string {
	chains := w.below(scan.ChainNode("overlay2", c.Falls[0].Chain))
	slices.Reverse(chains)
	for i, n := range chains {
		if w.daemon.layers[chainOf(n)] == nil {
			if i == 0 {
				return nil
			}
			chains = chains[:i] // a failed load releases what it found
			break
		}
	}
	top := chainOf(chains[len(chains)-1])
	w.daemon.layers[top].refs++
	return w.daemon.release(top)
}

// Whatever the daemon does not know or count of what it need not: it never
// deletes a chain that is not to go. And if it knows everything, it deletes
// exactly what was said, in that order (rule 7).
func TestCascadesProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWood(t)
		goes := map[string]bool{}
		for _, f := range w.going {
			goes[chainOf(f.Parts[0].Node)] = true
		}
		cascades, left := Cascades(w.g, w.going)
		served := 0
		for _, c := range cascades {
			served += len(c.Falls)
			deleted := w.adopt(c)
			for _, chain := range deleted {
				if !goes[chain] {
					t.Fatalf("deleted %s, which was not to go, by %v", chain, c)
				}
			}
			if !w.whole {
				continue
			}
			var falls []string
			for _, l := range c.Falls {
				falls = append(falls, l.Chain)
			}
			assert.DeepEqual(t, deleted, falls)
		}
		assert.Equal(t, served+len(left), len(w.going))
	})
}
