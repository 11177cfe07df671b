package plugin

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-orphans/docker-orphans/scan"
)

func inspected(t *testing.T, format string, digits ...string) string {
	t.Helper()
	seen := fixture(t)
	var out bytes.Buffer
	found := map[string]*scan.Finding{}
	for _, digit := range digits {
		found[digit] = seen.find(t, digit)
	}
	assert.NilError(t, show(newCLI(t, &out), seen, inspectOptions{format: format, ids: digits}, found))
	return out.String()
}

func TestInspectGolden(t *testing.T) {
	for file, digits := range map[string][]string{
		"inspect-orphan.golden": {"1"},
		"inspect-unsure.golden": {"4"},
		"inspect-used.golden":   {"5"},
		"inspect-pair.golden":   {"6", "3"},
	} {
		golden.Assert(t, inspected(t, "", digits...), file)
	}
}

func TestInspectFormats(t *testing.T) {
	assert.Equal(t, inspected(t, "{{.ID}} {{.Verdict}} {{(index .Parts 0).Kind}} {{.Contract.Age}}", "6"),
		id64("6")+" orphan mount unchanged for the grace\n")
	for _, format := range []string{"", "json"} {
		var rows []map[string]any
		assert.NilError(t, json.Unmarshal([]byte(inspected(t, format, "1", "2")), &rows))
		assert.Equal(t, len(rows), 2)
		assert.Equal(t, rows[0]["Was"], "evil\x1b[31m\nname") // the value itself, escaped by JSON
	}
	assert.Check(t, !strings.Contains(inspected(t, "", "1"), "\x1b"))
	assert.Equal(t, inspected(t, ""), "[]\n")

	cli := newCLI(t, nil)
	err := runInspect(t.Context(), cli, &globalOptions{}, inspectOptions{format: "{{.ID"})
	assert.Equal(t, exit(&bytes.Buffer{}, err), exitUsage)
}

// Every source that the contract needs is in the proof, read or not.
func TestProofIsWhole(t *testing.T) {
	seen := fixture(t)
	seen.graph.Reports = slices.DeleteFunc(seen.graph.Reports, func(r scan.Report) bool { return r.Source == scan.SourceBuildKit })
	e := newEvidence(seen, seen.find(t, "1"))
	var asked []string
	for _, a := range e.Proof {
		asked = append(asked, a.Source)
		if a.Source == string(scan.SourceBuildKit) {
			assert.Check(t, !a.Complete && a.Began == nil && a.Note == "not asked")
		} else {
			assert.Check(t, a.Complete && a.Began != nil && a.Note == "read", a.Source)
		}
	}
	assert.DeepEqual(t, asked, append([]string{"backend overlay2"}, e.Contract.Needs...))
}

func TestEveryTypeSaysWhatWouldMakeItLive(t *testing.T) {
	for _, c := range scan.Contracts {
		assert.Check(t, len(wouldBeLive(c.Type)) > 0, string(c.Type))
	}
}
