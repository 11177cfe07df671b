package prune

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"pgregory.net/rapid"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// id is of the form that the daemon gives.
const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func layer(name string) scan.Node { return scan.Node{Kind: scan.KindLayer, Name: "overlay2/" + name} }

// finding is an orphan of a type with the given parts.
func finding(g *scan.Graph, t scan.Type, parts ...scan.Node) scan.Finding {
	f := scan.Finding{ID: parts[0].Name, Type: t, Verdict: scan.Orphan, Reason: "no record names it", Age: "old"}
	for _, n := range parts {
		g.Add(scan.Object{Node: n, Medium: scan.Directory})
		f.Parts = append(f.Parts, &scan.Object{Node: n, Medium: scan.Directory})
	}
	return f
}

func TestPlan(t *testing.T) {
	g := scan.NewGraph()
	g.Host.DataRoot, g.Host.Info.EngineID, g.Host.Online = "/var/lib/docker", "ABCD", true
	chain := scan.ChainNode("overlay2", id)
	link := scan.Node{Kind: scan.KindLink, Name: "overlay2/l/BASE"}
	init := id + "-init"
	findings := []scan.Finding{
		finding(g, scan.TypeLayer, layer("base")),
		finding(g, scan.TypeLayer, layer("top")),
		finding(g, scan.TypeLayer, layer(id), layer(init)),
		finding(g, scan.TypeImageLayer, chain, layer("registered")),
		finding(g, scan.TypeDownload, scan.Node{Kind: scan.KindDownload, Name: "tmp/GetImageBlob1"}),
		{ID: "used", Type: scan.TypeLayer, Verdict: scan.Used},
	}
	g.Refer(layer("top"), link, scan.ByLower)
	g.Refer(link, layer("base"), scan.ByLink)
	g.Refer(layer(init), layer("registered"), scan.ByLower)
	plan := NewPlan(g, findings, Options{})
	assert.Equal(t, plan.String(), ""+
		"#1 free layer overlay2/top, no record names it; old\n"+
		"#2 free layer overlay2/base, no record names it; old [after 1]\n"+
		"#3 quarantine layer overlay2/"+id+", no record names it; old\n"+
		"#4 free download tmp/GetImageBlob1, no record names it; old\n") // what #3 lies on stays for it

	// What does not wait to come back keeps nothing.
	assert.Equal(t, NewPlan(g, findings, Options{Purge: true}).String(), ""+
		"#1 free layer overlay2/top, no record names it; old\n"+
		"#2 free layer overlay2/base, no record names it; old [after 1]\n"+
		"#3 free layer overlay2/"+id+", no record names it; old\n"+
		"#4 free download tmp/GetImageBlob1, no record names it; old\n"+
		"#5 adopt image-layer "+chain.Name+", no record names it; old [after 3]\n")

	data, err := json.Marshal(Result{Plan: plan, Outcomes: []Outcome{{Step: 1, End: journal.Freed, Bytes: 7}}})
	assert.NilError(t, err)
	var read Result
	assert.NilError(t, json.Unmarshal(data, &read))
	assert.DeepEqual(t, read, Result{Plan: plan, Outcomes: []Outcome{{Step: 1, End: journal.Freed, Bytes: 7}}})
}

// A layer whose removal was cut off may have lost its short link and not the
// file that tells its name: no link goes with it, and what lies on it goes
// before it all the same.
func TestPlanWithoutLink(t *testing.T) {
	g := scan.NewGraph()
	findings := []scan.Finding{finding(g, scan.TypeLayer, layer("base")), finding(g, scan.TypeLayer, layer("top"))}
	link := scan.Node{Kind: scan.KindLink, Name: "overlay2/l/BASE"}
	g.Refer(layer("top"), link, scan.ByLower)
	g.Refer(link, layer("base"), scan.ByLinkFile)
	plan := NewPlan(g, findings, Options{})
	assert.Equal(t, plan.String(), ""+
		"#1 free layer overlay2/top, no record names it; old\n"+
		"#2 free layer overlay2/base, no record names it; old [after 1]\n")
	for _, s := range plan.Steps {
		assert.Equal(t, len(s.Moves), 1, "%v", s.Moves)
	}
}

// Without a daemon everything can go in one run, the topmost first, but for
// what something in quarantine needs to come back. A registered layer's record
// goes before its data, any other after.
func TestPlanOffline(t *testing.T) {
	g := scan.NewGraph()
	low, high := scan.ChainNode("overlay2", id), scan.ChainNode("overlay2", strings.Repeat("f", 64))
	mount, init := scan.MountNode("overlay2", id), id+"-init"
	var findings []scan.Finding
	links := map[string]scan.Node{}
	for _, f := range []struct {
		t     scan.Type
		parts []scan.Node
	}{
		{scan.TypeImageLayer, []scan.Node{low, layer("low")}},
		{scan.TypeImageLayer, []scan.Node{high, layer("high")}},
		{scan.TypeRWLayer, []scan.Node{mount, layer(id), layer(init)}},
	} {
		findings = append(findings, finding(g, f.t, f.parts...))
	}
	for _, name := range []string{"low", "high"} {
		links[name] = scan.Node{Kind: scan.KindLink, Name: "overlay2/l/" + strings.ToUpper(name)}
		g.Refer(links[name], layer(name), scan.ByLink)
	}
	g.Refer(low, layer("low"), scan.ByCacheID)
	g.Refer(high, layer("high"), scan.ByCacheID)
	g.Refer(high, low, scan.ByParent)
	g.Refer(layer("high"), links["low"], scan.ByLower)
	g.Refer(mount, low, scan.ByParent)
	g.Refer(layer(init), links["low"], scan.ByLower)

	assert.Equal(t, NewPlan(g, findings, Options{}).String(), ""+
		"#1 free image-layer "+high.Name+", no record names it; old\n"+
		"#2 quarantine rw-layer "+mount.Name+", no record names it; old\n") // #2 keeps what it lies on

	plan := NewPlan(g, findings, Options{Purge: true})
	assert.Equal(t, plan.String(), ""+
		"#1 free image-layer "+high.Name+", no record names it; old\n"+
		"#2 free rw-layer "+mount.Name+", no record names it; old\n"+
		"#3 free image-layer "+low.Name+", no record names it; old [after 1 2]\n")
	var moves []string
	for _, s := range plan.Steps {
		assert.Equal(t, len(s.Pins), 0)
		for _, m := range s.Moves {
			moves = append(moves, m.From)
		}
	}
	assert.DeepEqual(t, moves, []string{
		high.Name, "overlay2/l/HIGH", "overlay2/high",
		"overlay2/" + id, "overlay2/" + init, mount.Name,
		low.Name, "overlay2/l/LOW", "overlay2/low",
	})

	// What no file of the data root is stays, for nobody is there to ask.
	for i := range findings[1].Parts {
		findings[1].Parts[i].Medium = "thin device"
	}
	assert.Equal(t, NewPlan(g, findings, Options{Purge: true}).String(), ""+
		"#1 free rw-layer "+mount.Name+", no record names it; old\n")
}

// Whatever lies on what: every orphan is in the plan once, nothing else is,
// and nothing goes before what lies on it.
func TestPlanOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := scan.NewGraph()
		n := rapid.IntRange(0, 8).Draw(t, "n")
		var findings []scan.Finding
		for i := range n {
			f := finding(g, scan.TypeLayer, layer(fmt.Sprint(i)))
			f.Verdict = rapid.SampledFrom([]scan.Verdict{scan.Orphan, scan.Orphan, scan.Used, scan.Unsure}).Draw(t, "verdict")
			findings = append(findings, f)
		}
		for i := range n {
			for j := range i { // layers lie on older ones
				if rapid.Bool().Draw(t, "lies on") {
					g.Refer(layer(fmt.Sprint(i)), layer(fmt.Sprint(j)), scan.ByLower)
				}
			}
		}
		plan := NewPlan(g, findings, Options{})
		place := map[scan.Node]int{}
		for _, s := range plan.Steps {
			place[s.Objects[0].Node] = s.ID
		}
		for _, f := range findings {
			if (place[f.Parts[0].Node] > 0) != (f.Verdict == scan.Orphan) {
				t.Fatalf("%s is %s and has place %d", f.ID, f.Verdict, place[f.Parts[0].Node])
			}
		}
		for r := range g.Refs {
			from, to := place[r.From], place[r.To]
			if from > 0 && to > 0 && (from > to || !slices.Contains(plan.Steps[to-1].After, from)) {
				t.Fatalf("%s goes at %d, %s that lies on it at %d", r.To, to, r.From, from)
			}
		}
	})
}
