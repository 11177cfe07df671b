package plugin

import (
	"fmt"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

func TestCovers(t *testing.T) {
	for want, scope := range map[string]scan.Scope{
		"everything":                         {},
		"backend vfs":                        {Backend: "vfs"},
		"25-character ids, backend overlay2": {BuildID: true, Backend: "overlay2"},
		"layer, rw-layer":                    {Types: []scan.Type{scan.TypeLayer, scan.TypeRWLayer}},
		"1 object":                           {Nodes: make([]scan.Node, 1)},
		"2 objects":                          {Nodes: make([]scan.Node, 2)},
		"backend overlay2, made since 2024-05-20T12:00:00Z": {Backend: "overlay2", Since: now},
	} {
		assert.Equal(t, covers(scope), want)
		assert.Equal(t, scope.All(), want == "everything")
	}
}

func TestDoubtLines(t *testing.T) {
	seen := fixture(t)
	four := seen.find(t, "4")
	const line = "unsure: buildkit/snapshots.db: invalid database (covers 1 object)\n  hint: stop the build"
	assert.DeepEqual(t, doubtLines([]*scan.Finding{four, four}, nil), []string{line})
	assert.Equal(t, len(doubtLines(nil, nil)), 0)

	hostile := []scan.Doubt{{Where: "a\nb", Err: "\x1b[2J", Hint: "\x07"}}
	assert.DeepEqual(t, doubtLines(nil, hostile), []string{`unsure: a\nb: \x1b[2J (covers everything)` + "\n" + `  hint: \a`})

	var many []scan.Doubt
	for i := range doubtsShown + 5 {
		many = append(many, scan.Doubt{Where: fmt.Sprint(i)})
	}
	lines := doubtLines(nil, many)
	assert.Equal(t, len(lines), doubtsShown+1)
	assert.Equal(t, lines[doubtsShown], "unsure: and 5 more reasons: see them with --filter verdict=unsure")
}

// A backend whose objects could not be listed has no findings to be unsure
// of, and still must not look like a clean host.
func TestUnreadBackend(t *testing.T) {
	g := scan.NewGraph()
	g.Reports = []scan.Report{{Source: "backend overlay2"}, {Source: scan.SourceAPI}, {Source: "backend vfs", Complete: true}}
	one := scan.Scope{Nodes: make([]scan.Node, 1)}
	g.Doubts = []scan.Doubt{
		{Source: scan.SourceAPI, Err: "x", Scope: one},
		{Source: "backend vfs", Err: "x", Scope: one},
		{Source: "backend overlay2", Err: "input/output error", Scope: scan.Scope{Backend: "overlay2"}},
		{Source: scan.SourceProcesses, Err: "a second daemon"},
	}
	assert.DeepEqual(t, unread(g), g.Doubts[2:])
}
