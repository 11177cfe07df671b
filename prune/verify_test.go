package prune

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A thing that is no file is known by what its medium knows it by (rule 8).
func TestDiffersByHandle(t *testing.T) {
	at := func(h *scan.Handle) *scan.Object {
		o := &scan.Object{Node: scan.Node{Kind: scan.KindLayer, Name: "zfs/graph/" + id}, Medium: scan.Dataset}
		o.Annotate().Handle = h
		return o
	}
	shown := scan.Handle{Name: "tank/docker/" + id, Made: 1, Origin: "tank/docker/base@1"}
	for name, tc := range map[string]struct {
		now     *scan.Handle
		differs string
	}{
		"the same":       {&scan.Handle{Name: shown.Name, Made: 1, Origin: shown.Origin}, ""},
		"another":        {&scan.Handle{Name: shown.Name, Made: 2, Origin: shown.Origin}, "it has changed since it was shown"},
		"another origin": {&scan.Handle{Name: shown.Name, Made: 1}, "it has changed since it was shown"},
		"none":           {nil, "it has changed since it was shown"},
	} {
		t.Run(name, func(t *testing.T) {
			f := scan.Finding{Type: scan.TypeLayer, Verdict: scan.Orphan, Parts: []*scan.Object{at(tc.now)}}
			seen := indexOf(&Sight{Graph: scan.NewGraph(), Findings: []scan.Finding{f}})
			s := &Step{Type: scan.TypeLayer, Objects: []*scan.Object{at(&shown)}}
			assert.Equal(t, seen.differs(s, true), tc.differs)
		})
	}
}
