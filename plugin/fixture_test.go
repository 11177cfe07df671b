package plugin

import (
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// now is the moment of every test; the daemon started ten days before.
var (
	now     = time.Date(2024, 5, 20, 12, 0, 0, 0, time.UTC)
	started = now.Add(-10 * 24 * time.Hour)
	longAgo = now.Add(-40 * 24 * time.Hour)
)

// id64 makes an id of one digit.
func id64(digit string) string { return strings.Repeat(digit, 64) }

// layerNode is an overlay2 layer.
func layerNode(id string) scan.Node {
	return scan.Node{Kind: scan.KindLayer, Name: "overlay2/" + id}
}

// layer makes a layer that was walked: made long ago, of a megabyte.
func layer(id string) scan.Object {
	return scan.Object{
		Node: layerNode(id), Backend: "overlay2", Medium: scan.Directory,
		Stamp: scan.Stamp{Device: 1, Inode: 2, Mount: 3, Birth: longAgo, Change: longAgo},
		Usage: &scan.Usage{Bytes: 1 << 20, Inodes: 10, Newest: longAgo, Complete: true},
	}
}

// fixture is a look at a host with one finding of each sort:
//
//	layer 1  orphan, with a hostile name for what it was, not all of it readable
//	layer 2  young
//	layer 3  held by a process
//	layer 4  unsure: a doubt names it
//	layer 5  used by the container web
//	rw-layer 6  orphan, precious
func fixture(t *testing.T) *look {
	t.Helper()
	g := scan.NewGraph()
	g.Host = scan.Host{
		DataRoot: "/data", Online: true, Now: now, TmpMade: started,
		Owner: &scan.Process{PID: 12, Name: "dockerd", Started: started},
	}
	for _, need := range append([]scan.SourceID{"backend overlay2", scan.SourceOrigins}, scan.ContractOf(scan.TypeLayer).Needs...) {
		g.Reports = append(g.Reports, scan.Report{Source: need, Began: now, Ended: now.Add(time.Second), Complete: true, Note: "read"})
	}

	orphan := layer(id64("1"))
	orphan.Annotate().Was = "evil\x1b[31m\nname"
	orphan.Usage.Complete, orphan.Usage.Problem = false, "diff/x: permission denied"
	orphan.Annotate().Labels = scan.Labels{Known: true, Values: map[string]string{"team": "a"}}
	young := layer(id64("2"))
	young.Stamp.Birth, young.Stamp.Change, young.Usage.Newest = now.Add(-time.Hour), now.Add(-time.Hour), now.Add(-time.Hour)
	for _, o := range []scan.Object{orphan, young, layer(id64("3")), layer(id64("4")), layer(id64("5")), layer(id64("6"))} {
		g.Add(o)
	}
	g.Hold(layerNode(id64("3")), "mounted in sleep (pid 4711)", "/proc/4711/mountinfo")
	g.Doubt(scan.Doubt{
		Source: scan.SourceBuildKit, Where: "buildkit/snapshots.db", Err: "invalid database", Hint: "stop the build",
		Scope: scan.Scope{Nodes: []scan.Node{layerNode(id64("4"))}},
	})
	web := scan.ContainerNode(id64("c"))
	g.Title(web, "container web")
	g.Live(web, "container web", "GET /containers/json")
	g.Refer(web, layerNode(id64("5")), scan.ByGraph)

	record := scan.MountNode("overlay2", id64("6"))
	g.Add(scan.Object{
		Node: record, Backend: "overlay2", Medium: scan.Directory,
		Notes: &scan.Notes{Was: "container db"}, Stamp: scan.Stamp{Device: 1, Inode: 9, Birth: longAgo, Change: longAgo},
		Usage: &scan.Usage{Bytes: 4096, Inodes: 3, Newest: longAgo, Complete: true, Telling: []string{"overlay2/" + id64("6") + "/diff/ibdata1"}},
	})
	g.Refer(record, layerNode(id64("6")), scan.ByMountID)

	seen := &look{
		in: &scan.Input{DataRoot: "/data"}, graph: g, policy: scan.Policy{Now: now, Grace: scan.DefaultGrace},
		close: func() error { return nil },
	}
	findings := scan.Classify(g, seen.policy)
	verdicts := map[string]string{}
	for i := range findings {
		seen.findings = append(seen.findings, &findings[i])
		verdicts[findings[i].ID[:1]] = findings[i].Verdict.String()
	}
	assert.DeepEqual(t, verdicts, map[string]string{"1": "orphan", "2": "young", "3": "held", "4": "unsure", "5": "used", "6": "orphan"})
	return seen
}

// find returns the fixture's finding whose id begins with the digit.
func (l *look) find(t *testing.T, digit string) *scan.Finding {
	t.Helper()
	f, err := resolve(l.findings, digit)
	assert.NilError(t, err)
	return f
}
