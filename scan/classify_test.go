package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"pgregory.net/rapid"
)

var (
	now    = time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	policy = Policy{Now: now, Grace: DefaultGrace}
)

func layerNode(name string) Node { return Node{KindLayer, "overlay2/" + name} }

// testGraph is an offline graph whose sources were all read to the end.
func testGraph() *Graph {
	g := NewGraph()
	for _, c := range Contracts {
		for _, s := range c.Needs {
			g.Reports = append(g.Reports, Report{Source: s, Complete: true})
		}
	}
	return g
}

func (g *Graph) addLayer(name string, made time.Time) Node {
	n := layerNode(name)
	g.Add(Object{Node: n, Backend: "overlay2", Stamp: Stamp{Birth: made, Change: made}})
	return n
}

func online(g *Graph, started time.Time) {
	g.Host = Host{Online: true, Owner: &Process{PID: 1, Name: "dockerd", Started: started}, TmpMade: started}
}

func verdictOf(t testing.TB, g *Graph, n Node) Verdict {
	t.Helper()
	for _, f := range Classify(g, policy) {
		for _, o := range f.Parts {
			if o.Node == n {
				return f.Verdict
			}
		}
	}
	t.Fatalf("%s: no finding", n)
	return 0
}

// Old enough, provably (rule 4).
func TestAge(t *testing.T) {
	started := now.Add(-48 * time.Hour)
	hour := time.Hour
	tests := []struct {
		name    string
		rule    AgeRule
		host    func(*Host)
		stamp   Stamp
		usage   *Usage
		want    Verdict
		unwalks bool
	}{
		{"before the daemon", AgeMade, nil, Stamp{Birth: started.Add(-hour), Change: now.Add(-hour)}, nil, Orphan, false},
		{"between the two clocks", AgeMade, func(h *Host) { h.TmpMade = started.Add(-2 * hour) }, Stamp{Birth: started.Add(-hour), Change: started}, nil, Young, true},
		{"between the two clocks, stepped back", AgeMade, func(h *Host) { h.Owner.Started = started.Add(-2 * hour) }, Stamp{Birth: started.Add(-hour), Change: started}, nil, Young, true},
		{"start not known", AgeMade, func(h *Host) { h.TmpMade = time.Time{} }, Stamp{Birth: started.Add(-hour), Change: started}, nil, Young, true},
		{"no birth: its change counts", AgeMade, nil, Stamp{Change: started.Add(hour)}, nil, Young, true},
		{"since the daemon, not walked", AgeMade, nil, Stamp{Birth: started.Add(hour), Change: started.Add(hour)}, nil, Young, true},
		{"since the daemon, unchanged", AgeMade, nil, Stamp{Birth: started.Add(hour), Change: started.Add(hour)}, &Usage{Newest: now.Add(-24 * hour), Complete: true}, Orphan, false},
		{"since the daemon, changed below", AgeMade, nil, Stamp{Birth: started.Add(hour), Change: started.Add(hour)}, &Usage{Newest: now.Add(-24*hour + 1), Complete: true}, Young, false},
		{"since the daemon, changed itself", AgeMade, nil, Stamp{Birth: started.Add(hour), Change: now.Add(-hour)}, &Usage{Newest: now.Add(-30 * hour), Complete: true}, Young, false},
		{"not walked to the end", AgeMade, nil, Stamp{Birth: started.Add(hour), Change: started.Add(hour)}, &Usage{Newest: started.Add(hour)}, Young, false},
		{"the machine slept", AgeMade, func(h *Host) { h.Suspended = hour }, Stamp{Birth: started.Add(hour), Change: started.Add(hour)}, &Usage{Newest: now.Add(-24 * hour), Complete: true}, Young, false},
		{"the clock was set forward", AgeMade, func(h *Host) { h.Owner.Started = started.Add(2 * hour) }, Stamp{Birth: started.Add(hour), Change: started.Add(hour)}, &Usage{Newest: now.Add(-25 * hour), Complete: true}, Young, false},
		{"the clock was set forward, long ago", AgeMade, func(h *Host) { h.Owner.Started = started.Add(2 * hour) }, Stamp{Birth: started.Add(hour), Change: started.Add(hour)}, &Usage{Newest: now.Add(-26 * hour), Complete: true}, Orphan, false},
		{"the clock was set back", AgeLastChange, func(h *Host) { h.Owner.Started = started.Add(-2 * hour) }, Stamp{Birth: started, Change: started}, &Usage{Newest: now.Add(-24 * hour), Complete: true}, Orphan, false},
		{"a board without a clock", AgeLastChange, func(h *Host) { h.TmpMade, h.Owner.Started = time.Unix(60, 0), now.Add(-hour) }, Stamp{Birth: time.Unix(90, 0), Change: time.Unix(90, 0)}, &Usage{Newest: time.Unix(90, 0), Complete: true}, Young, false},
		{"last change alone", AgeLastChange, nil, Stamp{Birth: started.Add(-hour), Change: started.Add(-hour)}, nil, Young, true},
		{"last change, long ago", AgeLastChange, nil, Stamp{Birth: started.Add(-hour), Change: started.Add(-hour)}, &Usage{Newest: started, Complete: true}, Orphan, false},
		{"download since the daemon", AgeMadeBefore, nil, Stamp{Birth: started.Add(hour), Change: started.Add(hour)}, &Usage{Newest: started.Add(hour), Complete: true}, Young, false},
		{"download before the daemon", AgeMadeBefore, nil, Stamp{Birth: started.Add(-hour), Change: started.Add(-hour)}, nil, Orphan, false},
		{"born in the future", AgeMade, nil, Stamp{Birth: now.Add(hour), Change: started.Add(-hour)}, nil, Young, false},
		{"changed in the future", AgeMade, nil, Stamp{Birth: started.Add(-hour), Change: now.Add(hour)}, nil, Young, false},
		{"future below", AgeLastChange, nil, Stamp{Birth: started, Change: started}, &Usage{Newest: now.Add(hour), Complete: true}, Young, false},
		{"a layer is being written", AgeMade, func(h *Host) { h.OldestWriteSet = started.Add(-2 * hour) }, Stamp{Birth: started.Add(-2*hour - 9*time.Minute), Change: started.Add(-2 * hour)}, nil, Held, false},
		{"a layer is being written since who knows", AgeMade, func(h *Host) { h.OldestWriteSet = Unborn }, Stamp{Birth: started.Add(-9 * hour), Change: started.Add(-9 * hour)}, nil, Held, false},
		{"older than what is being written", AgeMade, func(h *Host) { h.OldestWriteSet = started.Add(-2 * hour) }, Stamp{Birth: started.Add(-3 * hour), Change: started.Add(-2 * hour)}, nil, Orphan, false},
		{"offline", AgeLastChange, func(h *Host) { *h = Host{} }, Stamp{Birth: now.Add(-1), Change: now.Add(-1)}, nil, Orphan, false},
		{"offline, but a process has it locked", AgeLastChange, func(h *Host) { h.Online = false }, Stamp{Birth: now.Add(-1), Change: now.Add(-1)}, nil, Young, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			h := Host{Online: true, Owner: &Process{Started: started}, TmpMade: started}
			if tc.host != nil {
				tc.host(&h)
			}
			got := policy.ageOf(&h, tc.rule, &Object{Stamp: tc.stamp, Usage: tc.usage})
			assert.Equal(t, got.verdict, tc.want, got.text)
			assert.Equal(t, got.unwalked, tc.unwalks)
			assert.Assert(t, got.text != "")
		})
	}
}

// What an owner needs is one thing with it: the weakest verdict of a part is
// that of all.
func TestGroupHasTheWeakestVerdict(t *testing.T) {
	g := testGraph()
	online(g, now.Add(-time.Hour))
	old, fresh := now.Add(-48*time.Hour), now.Add(-time.Minute)
	mount := MountNode("overlay2", "c")
	g.Add(Object{Node: mount, Backend: "overlay2", Stamp: Stamp{Birth: old, Change: old}})
	g.Refer(mount, g.addLayer("rw", old), ByMountID)
	g.Refer(mount, g.addLayer("rw-init", old), ByInitID)
	for i := range g.Objects {
		g.Objects[i].Usage = &Usage{Newest: old, Complete: true}
	}
	assert.Equal(t, verdictOf(t, g, mount), Orphan)
	g.Object(layerNode("rw-init")).Usage.Newest = fresh
	assert.Equal(t, verdictOf(t, g, mount), Young)
	g.Live(layerNode("rw"), "test", "test")
	assert.Equal(t, verdictOf(t, g, mount), Used)
	assert.Equal(t, len(Classify(g, policy)), 1)
}

// A verdict reaches what its bearer needs, and no further down.
func TestSpread(t *testing.T) {
	for _, tc := range []struct {
		name  string
		mark  func(g *Graph, top Node)
		top   Verdict
		below Verdict
	}{
		{"used", func(g *Graph, n Node) { g.Live(n, "x", "x") }, Used, Used},
		{"held", func(g *Graph, n Node) { g.Hold(n, "x", "x") }, Held, Held},
		{"kept", func(g *Graph, n Node) { g.Keep(n, "x", "x") }, Kept, Kept},
		{"unknown", func(g *Graph, n Node) { g.Object(n).Unrecognised = "x" }, Unknown, Unsure},
		{"doubted", func(g *Graph, n Node) { g.Doubt(Doubt{Where: "x", Scope: Scope{Nodes: []Node{n}}}) }, Unsure, Unsure},
		{"young", func(g *Graph, n Node) { g.Object(n).Stamp.Birth = now.Add(-time.Minute) }, Young, Young},
		{"damaged", func(g *Graph, n Node) { g.Object(n).Annotate().Missing = "x" }, Damaged, Orphan},
		{"orphan", func(*Graph, Node) {}, Orphan, Orphan},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := testGraph()
			online(g, now.Add(-time.Hour))
			old := now.Add(-48 * time.Hour)
			base, mid, top, above := g.addLayer("base", old), g.addLayer("mid", old), g.addLayer("top", old), g.addLayer("above", old)
			g.Refer(above, top, ByLower)
			g.Refer(top, mid, ByLower)
			g.Refer(mid, base, ByLower)
			tc.mark(g, top)
			assert.Equal(t, verdictOf(t, g, top), tc.top)
			assert.Equal(t, verdictOf(t, g, mid), tc.below)
			assert.Equal(t, verdictOf(t, g, base), tc.below)
			assert.Equal(t, verdictOf(t, g, above), Orphan)
		})
	}
}

// A source that was not read to the end owns everything that it could own
// (rule 1).
func TestEveryNeededSourceMustBeComplete(t *testing.T) {
	for _, c := range Contracts {
		for _, need := range c.Needs {
			g := testGraph()
			kind := map[Type]Kind{
				TypeLayer: KindLayer, TypeImageLayer: KindChain, TypeRWLayer: KindMount,
				TypeContainer: KindContainer, TypeVolume: KindVolume, TypeBuilder: KindVolume, TypeDownload: KindDownload, TypeLink: KindLink,
				TypeBuild: KindCache, TypeBackend: KindBackend, TypeRoot: KindRoot, TypeMetadata: KindRecord,
			}[c.Type]
			n := Node{kind, "some/thing"}
			if c.Type == TypeBuilder {
				n = VolumeNode("buildx_buildkit_b0_state")
			}
			g.Add(Object{Node: n})
			assert.Equal(t, verdictOf(t, g, n), Orphan, "%s", c.Type)
			g.Reports = slices.DeleteFunc(g.Reports, func(r Report) bool { return r.Source == need })
			assert.Equal(t, verdictOf(t, g, n), Unsure, "%s without %s", c.Type, need)
		}
	}
}

func TestScope(t *testing.T) {
	made := now.Add(-time.Hour)
	build := "0123456789abcdefghijklmno"
	o := &Object{Node: layerNode(build), Backend: "overlay2", Stamp: Stamp{Birth: made}}
	for _, tc := range []struct {
		scope Scope
		want  bool
	}{
		{Scope{}, true},
		{Scope{Backend: "overlay2"}, true},
		{Scope{Backend: "vfs"}, false},
		{Scope{Types: []Type{TypeLink, TypeLayer}}, true},
		{Scope{Types: []Type{TypeLink}}, false},
		{Scope{Nodes: []Node{layerNode("x"), o.Node}}, true},
		{Scope{Nodes: []Node{layerNode("x")}}, false},
		{Scope{BuildID: true}, true},
		{Scope{Since: made}, true},
		{Scope{Since: made.Add(1)}, false},
		{Scope{Backend: "overlay2", Types: []Type{TypeLink}}, false},
	} {
		assert.Equal(t, tc.scope.covers(o, TypeLayer), tc.want, "%+v", tc.scope)
	}
	o.Name = "overlay2/other"
	assert.Assert(t, !Scope{BuildID: true}.covers(o, TypeLayer))
}

// drawGraph draws a graph of layers with references, marks and doubts.
func drawGraph(t *rapid.T) *Graph {
	g := testGraph()
	online(g, now.Add(-time.Hour))
	n := rapid.IntRange(1, 8).Draw(t, "layers")
	for i := range n {
		age := rapid.SampledFrom([]time.Duration{time.Minute, 2 * time.Hour, 48 * time.Hour}).Draw(t, "age")
		g.addLayer(fmt.Sprint(i), now.Add(-age))
		if rapid.Bool().Draw(t, "walked") {
			g.Objects[i].Usage = &Usage{Newest: now.Add(-age), Complete: true}
		}
	}
	any := func(name string) Node { return layerNode(fmt.Sprint(rapid.IntRange(0, n-1).Draw(t, name))) }
	for range rapid.IntRange(0, 10).Draw(t, "refs") {
		g.Refer(any("from"), any("to"), rapid.SampledFrom([]Why{ByLower, ByInitName}).Draw(t, "why"))
	}
	for range rapid.IntRange(0, 2).Draw(t, "marks") {
		g.mark(any("marked"), rapid.SampledFrom([]Verdict{Used, Held, Kept}).Draw(t, "verdict"), "x", "x")
	}
	for range rapid.IntRange(0, 1).Draw(t, "doubts") {
		g.Doubt(Doubt{Where: "x", Scope: Scope{Nodes: []Node{any("doubted")}}})
	}
	return g
}

func orphans(g *Graph) map[Node]bool {
	found := map[Node]bool{}
	for _, f := range Classify(g, policy) {
		if f.Verdict == Orphan {
			for _, o := range f.Parts {
				found[o.Node] = true
			}
		}
	}
	return found
}

// Whatever is added to a graph that speaks for something, nothing becomes an
// orphan by it.
func TestMoreEvidenceMakesNoOrphans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		before := orphans(g)
		any := func(name string) Node {
			return layerNode(fmt.Sprint(rapid.IntRange(0, len(g.Objects)-1).Draw(t, name)))
		}
		switch rapid.IntRange(0, 4).Draw(t, "evidence") {
		case 0:
			g.Refer(any("from"), any("to"), rapid.SampledFrom([]Why{ByLower, ByInitName}).Draw(t, "why"))
		case 1:
			g.mark(any("marked"), rapid.SampledFrom([]Verdict{Used, Held, Kept}).Draw(t, "verdict"), "x", "x")
		case 2:
			scope := Scope{}
			if rapid.Bool().Draw(t, "narrow") {
				scope.Nodes = []Node{any("doubted")}
			}
			g.Doubt(Doubt{Where: "x", Scope: scope})
		case 3: // younger
			o := g.Object(any("younger"))
			o.Stamp.Birth, o.Stamp.Change = now.Add(-time.Second), now.Add(-time.Second)
		case 4:
			g.Host.OldestWriteSet = now.Add(-3 * time.Hour)
		}
		for n := range orphans(g) {
			if !before[n] {
				t.Fatalf("%s became an orphan", n)
			}
		}
	})
}

// Nothing that something live, held, kept, unsure or young reaches is an
// orphan: a plain search says the same as the classifier.
func TestNothingNeededIsAnOrphan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		found := orphans(g)
		for changed := true; changed; {
			changed = false
			for r := range g.Refs {
				both := r.Why.owns() && found[r.From] && !found[r.To]
				if both || !found[r.From] && found[r.To] {
					t.Fatalf("%s is an orphan, %s is not (%s)", r.To, r.From, r.Why)
				}
			}
		}
		for _, m := range g.Marks {
			if found[m.Node] {
				t.Fatalf("%s is marked and an orphan", m.Node)
			}
		}
	})
}

// The order in which things were read does not matter.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		shuffled := testGraph()
		shuffled.Host = g.Host
		for _, o := range rapid.Permutation(g.Objects).Draw(t, "objects") {
			shuffled.Add(o)
		}
		for _, r := range rapid.Permutation(slices.Collect(g.Refs)).Draw(t, "refs") {
			shuffled.Refer(r.From, r.To, r.Why)
		}
		for _, m := range rapid.Permutation(g.Marks).Draw(t, "marks") {
			shuffled.mark(m.Node, m.Verdict, m.What, m.Where)
		}
		for _, d := range g.Doubts {
			shuffled.Doubt(d)
		}
		a, b := Classify(g, policy), Classify(shuffled, policy)
		assert.Equal(t, len(a), len(b))
		for i := range a {
			assert.Equal(t, a[i].ID, b[i].ID)
			assert.Equal(t, a[i].Verdict, b[i].Verdict)
		}
	})
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		24 * time.Hour: "24h", time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Second: "10s",
		time.Minute: "1m", time.Hour + 10*time.Second: "1h0m10s", 0: "0s", 20 * time.Minute: "20m", 100 * time.Second: "1m40s",
	} {
		assert.Equal(t, span(d), want)
	}
}

// What a walk met open is held, and what a process has open that no path
// leads to makes every orphan be walked.
func TestStraysAreLookedFor(t *testing.T) {
	g := testGraph()
	n := g.addLayer("x", now.Add(-time.Hour))
	assert.Assert(t, !Classify(g, policy)[0].Unwalked)
	g.Host.Strays = []OpenFile{{FileKey: FileKey{1, 2}, By: "editor (pid 7)"}}
	assert.Assert(t, Classify(g, policy)[0].Unwalked)
	g.Object(n).Usage = &Usage{Complete: true}
	assert.Equal(t, verdictOf(t, g, n), Orphan)
	g.Object(n).Usage.OpenedBy = "editor (pid 7)"
	assert.Equal(t, verdictOf(t, g, n), Held)
}

// A subvolume that was made of an old one carries its times: only its medium
// tells when it was made.
func TestCreatedByTheMedium(t *testing.T) {
	old := now.Add(-72 * time.Hour)
	for name, tc := range map[string]struct {
		created time.Time
		err     error
		want    Verdict
	}{
		"long ago":     {old, nil, Orphan},
		"after start":  {now.Add(-47 * time.Hour), nil, Orphan},
		"just now":     {now.Add(-time.Minute), nil, Young},
		"in future":    {now.Add(time.Minute), nil, Young},
		"cannot tell":  {time.Time{}, errors.New("inappropriate ioctl for device"), Unsure},
		"does not say": {time.Time{}, nil, Unsure},
	} {
		t.Run(name, func(t *testing.T) {
			n := layerNode("snapshot")
			b := &Backend{
				Name: "overlay2", Dir: "overlay2",
				Enumerate: func(_ context.Context, _ *Input, g *Graph) error { g.addLayer("snapshot", old); return nil },
				Created:   func(context.Context, *Input, *Object) (time.Time, error) { return tc.created, tc.err },
			}
			g := Scan(t.Context(), &Input{Backends: []*Backend{b}, Now: func() time.Time { return now }}, nil)
			g.Reports = append(g.Reports, testGraph().Reports...)
			online(g, now.Add(-48*time.Hour))
			g.Object(n).Usage = &Usage{Newest: old, Complete: true}
			assert.Equal(t, verdictOf(t, g, n), tc.want)
			age := policy.ageOf(&g.Host, AgeMade, g.Object(n))
			assert.Equal(t, age.verdict == Orphan, tc.want == Orphan, "%+v", age)
			doubted := len(g.Doubts) == 1 && slices.Equal(g.Doubts[0].Scope.Nodes, []Node{n})
			assert.Equal(t, doubted, tc.want == Unsure, "%v", g.Doubts)
		})
	}
}

// What a driver left is as old as the newest of its records, not as its own
// directory (rule 4).
func TestBackendIsAsOldAsItsRecords(t *testing.T) {
	for _, tc := range []struct {
		own, records time.Duration
		want         Verdict
	}{
		{48 * time.Hour, 48 * time.Hour, Orphan},
		{48 * time.Hour, time.Hour, Young},
		{time.Hour, 48 * time.Hour, Young},
		{48 * time.Hour, -time.Hour, Young},
	} {
		g := testGraph()
		online(g, now)
		n := Node{KindBackend, "vfs"}
		recorded := now.Add(-tc.records)
		g.Add(Object{Node: n, Stamp: Stamp{Change: now.Add(-tc.own)}, Notes: &Notes{Recorded: &recorded}})
		assert.Equal(t, verdictOf(t, g, n), tc.want, "%v", tc)
	}
}
