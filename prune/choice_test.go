package prune

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/tree"
)

// stack is three layers of 10 bytes, each on the one before.
func stack() (*scan.Graph, []scan.Finding) {
	g := scan.NewGraph()
	var findings []scan.Finding
	for i := range 3 {
		f := finding(g, scan.TypeLayer, layer(fmt.Sprint(i)))
		f.Parts[0].Usage = &scan.Usage{Bytes: 10, Complete: true}
		findings = append(findings, f)
		if i > 0 {
			g.Refer(layer(fmt.Sprint(i)), layer(fmt.Sprint(i-1)), scan.ByLower)
		}
	}
	return g, findings
}

// names are the findings of a plan in its order.
func names(p Plan) string {
	var all []string
	for _, s := range p.Steps {
		all = append(all, strings.TrimPrefix(s.Finding, "overlay2/"))
	}
	return strings.Join(all, " ")
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		limits Limits
		want   string
	}{
		{Limits{}, "2 1 0"},
		{Limits{Items: 2}, "2 1"},
		{Limits{Space: 29}, "2 1"},
		{Limits{Space: 9}, ""},
		{Limits{Free: 10}, "2"},
		{Limits{Free: 11}, "2 1"},
		{Limits{Items: 1, Free: 30}, "2"},
	} {
		g, findings := stack()
		plan := NewPlan(g, findings, Options{})
		chosen := tc.limits.Budget().Choose(&plan)
		plan = NewPlan(g, findings, Options{Take: func(f *scan.Finding) bool { return chosen[f.Parts[0].Node] }})
		assert.Equal(t, names(plan), tc.want, "%+v", tc.limits)
	}
	// What is too large is passed over, and so is what it lies on; the rest goes.
	g, findings := stack()
	findings[1].Parts[0].Usage.Bytes = 100
	other := finding(g, scan.TypeDownload, scan.Node{Kind: scan.KindDownload, Name: "tmp/x"})
	plan := NewPlan(g, append(findings, other), Options{})
	chosen := Limits{Space: 50}.Budget().Choose(&plan)
	assert.Check(t, chosen[layer("2")] && chosen[other.Parts[0].Node] && len(chosen) == 2, "%v", chosen)
	// What goes to quarantine frees nothing.
	f := finding(g, scan.TypeRWLayer, scan.MountNode("overlay2", id), layer(id))
	f.Parts[1].Usage = &scan.Usage{Bytes: 1000, Complete: true}
	plan = NewPlan(g, append([]scan.Finding{f}, findings[2]), Options{})
	assert.Equal(t, len(Limits{Free: 5}.Budget().Choose(&plan)), 2)
	// Nor does what waits for the daemon to stop.
	_, findings = stack()
	plan = NewPlan(g, findings, Options{})
	for i := range plan.Steps {
		plan.Steps[i].Remover = journal.Marker
	}
	assert.Equal(t, len(Limits{Free: 5}.Budget().Choose(&plan)), 3)
}

// An orphan that does not go keeps what it needs: without that it would be
// damaged, and nobody asked for that.
func TestPlanLeavesWhatOrphansThatStayNeed(t *testing.T) {
	g, findings := stack()
	for stays, want := range map[string]string{"2": "", "1": "2", "0": "2 1"} {
		plan := NewPlan(g, findings, Options{Take: func(f *scan.Finding) bool { return f.ID != "overlay2/"+stays }})
		assert.Equal(t, names(plan), want, "%s stays", stays)
	}
}

// A run that would remove most of a backend says so (rule 12).
func TestMost(t *testing.T) {
	for _, tc := range []struct {
		all, taken int
		brake      bool
	}{{49, 49, false}, {50, 45, true}, {50, 44, false}, {100, 89, false}, {100, 90, true}} {
		g := scan.NewGraph()
		var findings []scan.Finding
		for i := range tc.all {
			f := finding(g, scan.TypeLayer, layer(fmt.Sprint(i)))
			if i >= tc.taken {
				f.Verdict = scan.Used
			}
			findings = append(findings, f)
		}
		for i := range g.Objects {
			g.Objects[i].Backend = "overlay2"
		}
		for i := range findings {
			findings[i].Parts[0].Backend = "overlay2"
		}
		plan := NewPlan(g, findings, Options{})
		b := Most(g, &plan)
		assert.Equal(t, b != nil, tc.brake, "%+v", tc)
		if b != nil {
			assert.Equal(t, b.Flag, AllowMost)
			assert.Error(t, b, fmt.Sprintf("%d of the %d layers of overlay2 would go", tc.taken, tc.all))
		}
	}
}

func TestSavedPlan(t *testing.T) {
	root := t.TempDir()
	disk, err := tree.Open(root)
	assert.NilError(t, err)
	defer disk.Close()
	file := filepath.Join(t.TempDir(), "plan")
	made := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

	// world is the same root at another boot: other device numbers and mount ids.
	world := func(boot uint64) (*scan.Graph, []scan.Finding) {
		g, findings := stack()
		g.Host.DataRoot, g.Host.Info.EngineID, g.Host.Online = root, "ABCD", true
		for i := range findings {
			findings[i].Parts[0].Stamp = scan.Stamp{Device: boot, Mount: boot, Inode: uint64(i + 1), Birth: made, Change: made}
			findings[i].Parts[0].Usage = &scan.Usage{Newest: made, Complete: true}
		}
		return g, findings
	}
	g, findings := world(1)
	assert.NilError(t, Save(file, disk, NewPlan(g, findings, Options{}), false))
	saved, err := Load(file)
	assert.NilError(t, err)

	g, findings = world(2)
	assert.NilError(t, saved.Check(disk, &g.Host))
	plan, changed := saved.Renew(g, findings, takeAll)
	assert.Equal(t, names(plan), "2 1 0")
	assert.Equal(t, len(changed), 0)
	assert.Equal(t, plan.Steps[0].Objects[0].Stamp.Device, uint64(2), "the stamps are those of now")

	t.Run("another root", func(t *testing.T) {
		other, err := tree.Open(t.TempDir())
		assert.NilError(t, err)
		defer other.Close()
		assert.ErrorContains(t, saved.Check(other, &g.Host), "another directory")
		host := g.Host
		host.Info.EngineID = "EFGH"
		assert.ErrorContains(t, saved.Check(disk, &host), "under the engine ABCD")
		host = g.Host
		host.Online = false
		assert.ErrorContains(t, saved.Check(disk, &host), "made while a daemon ran")
		offline, plan := *saved, *saved.Plan
		offline.Plan, plan.Offline = &plan, true
		assert.ErrorContains(t, offline.Check(disk, &g.Host), "made while no daemon ran")
		host = g.Host
		host.DataRoot = "/srv"
		assert.ErrorContains(t, saved.Check(disk, &host), "for the data root "+root)
		for _, change := range []func(*Saved){
			func(s *Saved) { s.FileSystem = "other" },
			func(s *Saved) { s.Plan.Root.Inode++ },
			func(s *Saved) { s.Plan.Root.Birth = made },
		} {
			moved, plan := *saved, *saved.Plan
			moved.Plan = &plan
			change(&moved)
			assert.ErrorContains(t, moved.Check(disk, &g.Host), "another directory")
		}
	})
	for name, tc := range map[string]struct {
		change func(f *scan.Finding)
		why    string
		want   string
	}{
		"another inode":  {func(f *scan.Finding) { f.Parts[0].Stamp.Inode = 99 }, "changed since the plan was saved", "2"},
		"another birth":  {func(f *scan.Finding) { f.Parts[0].Stamp.Birth = made.Add(1) }, "changed since the plan was saved", "2"},
		"another change": {func(f *scan.Finding) { f.Parts[0].Stamp.Change = made.Add(1) }, "changed since the plan was saved", "2"},
		"another file":   {func(f *scan.Finding) { f.Parts[0].Usage.Newest = made.Add(1) }, "changed since the plan was saved", "2"},
		"used":           {func(f *scan.Finding) { f.Verdict, f.Reason = scan.Used, "used by web" }, "it is used now: used by web", "0 2"},
		"precious":       {func(f *scan.Finding) { f.NotMine = "it holds ibdata1" }, "it holds ibdata1", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			g, findings := world(2)
			tc.change(&findings[1])
			plan, changed := saved.Renew(g, findings, takeAll)
			assert.Equal(t, names(plan), tc.want)
			assert.Check(t, len(changed) > 0)
			for _, c := range changed {
				if c.Step.Finding == "overlay2/1" {
					assert.Check(t, strings.Contains(c.Why, tc.why), "%s", c.Why)
				}
			}
		})
	}
	t.Run("left", func(t *testing.T) {
		g, findings := world(2)
		plan, changed := saved.Renew(g, findings, func(f *scan.Finding) string {
			if f == &findings[1] {
				return "left"
			}
			return ""
		})
		assert.Equal(t, names(plan), "2")
		assert.Equal(t, len(changed), 2)
	})
	t.Run("not measured yet", func(t *testing.T) {
		g, findings := world(2)
		for i := range findings {
			findings[i].Parts[0].Usage = nil
		}
		plan, _ := saved.Renew(g, findings, takeAll)
		assert.Equal(t, names(plan), "2 1 0")
	})
	t.Run("another way", func(t *testing.T) {
		g, findings := world(2)
		tampered := *saved
		plan := *saved.Plan
		plan.Steps = append([]Step{}, plan.Steps...)
		plan.Steps[0].Moves = []journal.Move{{From: "overlay2/other"}}
		tampered.Plan = &plan
		now, changed := tampered.Renew(g, findings, takeAll)
		assert.Equal(t, names(now), "")
		assert.Equal(t, len(changed), 3)
	})
	t.Run("not a plan", func(t *testing.T) {
		for text, want := range map[string]string{
			"x":                                     "not a saved plan",
			"{}":                                    "not a saved plan",
			"null":                                  "not a saved plan",
			`{"format": 2, "plan": {"version": 1}}`: "written by another version",
			`{"format": 1, "plan": {"version": 3}}`: "written by another version",
			`{"format": 1, "plan": {"version": 1, "steps": [{"id": 1}]}}`: "step 1: not a step",
			`{"format": 1, "plan": {"version": 1, "steps": [{"id": 7}]}}`: "step 7: not a step",
		} {
			bad := filepath.Join(t.TempDir(), "bad")
			assert.NilError(t, os.WriteFile(bad, []byte(text), 0o600))
			_, err := Load(bad)
			assert.ErrorContains(t, err, want, "%s", text)
		}
		info, err := os.Stat(file)
		assert.NilError(t, err)
		assert.Equal(t, info.Mode().Perm(), os.FileMode(0o600))
		text, err := json.Marshal(saved)
		assert.NilError(t, err)
		assert.Check(t, len(text) > 0)
	})
}

func takeAll(*scan.Finding) string { return "" }
