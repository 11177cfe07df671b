package plugin

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/docker/cli/cli/command/formatter"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/docker-orphans/docker-orphans/scan"
)

func render(t *testing.T, source string, l listing, quiet, verdicts bool) string {
	t.Helper()
	seen := fixture(t)
	l.dataRoot, l.now = "/data", now
	var out bytes.Buffer
	format := findingFormat(source, quiet, verdicts, l.sizes)
	assert.NilError(t, checkFindingFormat(format))
	assert.NilError(t, writeFindings(formatter.Context{Output: &out, Format: format}, l, seen.findings))
	return out.String()
}

func TestFindingFormats(t *testing.T) {
	whole := listing{sizes: true}
	short := listing{sizes: true, trunc: true}
	for file, got := range map[string]string{
		"table.golden":         render(t, "", short, false, false),
		"table-all.golden":     render(t, "table", short, false, true),
		"table-notrunc.golden": render(t, "", whole, false, false),
		"table-nosize.golden":  render(t, "", listing{trunc: true}, false, false),
		"table-own.golden":     render(t, `table {{.ID}}\t{{.Labels}}\t{{.SizeBytes}}\t{{upper .Type}}\t{{join .Paths ","}}`, short, false, false),
		"template.golden":      render(t, "{{.Schema}} {{.ID}} {{.Type}} {{.Backend}} {{.Verdict}} {{.Default}} {{.Precious}} {{.Path}} {{.Paths}} {{.Size}} {{.SizeBytes}} {{.SizeComplete}} {{.SizeAtMost}} {{.LastChanged}} {{.ChangedAt}} {{.Was}} {{.Labels}} {{.Reason}}", short, false, false),
		"quiet.golden":         render(t, "", short, true, false),
		"json.golden":          render(t, "json", whole, false, false),
		"json-nosize.golden":   render(t, "json", listing{}, false, false),
	} {
		golden.Assert(t, got, file)
	}
}

// What scripts rely on: these fields, in these types, whatever the flags.
func TestJSONFields(t *testing.T) {
	for _, l := range []listing{{}, {sizes: true}, {sizes: true, trunc: true}} {
		for line := range strings.Lines(render(t, "json", l, false, true)) {
			row := map[string]any{}
			assert.NilError(t, json.Unmarshal([]byte(line), &row))
			assert.DeepEqual(t, sortedKeys(row), []string{
				"Backend", "ChangedAt", "Default", "ID", "Labels", "Path", "Paths", "Precious", "Reason", "Schema",
				"SizeAtMost", "SizeBytes", "SizeComplete", "Type", "Verdict", "Was",
			})
			assert.Equal(t, row["Schema"], 1.0)
			assert.Equal(t, len(row["ID"].(string)), 64)
			_, number := row["SizeBytes"].(float64)
			assert.Equal(t, number, l.sizes)
		}
	}
}

// No row may send a terminal anything but text.
func TestNoHostileOutput(t *testing.T) {
	for _, source := range []string{"", "json", "{{.Was}}", "table {{.Was}}", "{{json .}}"} {
		out := render(t, source, listing{sizes: true}, false, true)
		assert.Check(t, !strings.ContainsAny(out, "\x1b\x00\r"), "%q", out)
		lines := strings.Count(out, "\n")
		assert.Check(t, lines == 6 || lines == 7, "%s: %d lines", source, lines)
	}
}

func TestCheckFindingFormat(t *testing.T) {
	for format, want := range map[string]string{
		"{{.Bogus}}":                "template parsing error: template: :1:2: executing \"\" at <.Bogus>: can't evaluate field Bogus",
		"table {{.ID}}\t{{.Bogus}}": "can't evaluate field Bogus",
		"{{.ID":                     "template parsing error: template: :1: unclosed action",
		"{{nosuch .ID}}":            `template parsing error: template: :1: function "nosuch" not defined`,
	} {
		err := checkFindingFormat(formatter.Format(format))
		assert.ErrorContains(t, err, want)
		assert.Equal(t, exit(&bytes.Buffer{}, err), exitUsage)
		assert.Equal(t, strings.Count(err.Error(), "template parsing error"), 1)
	}
	for _, format := range []string{"{{.ID}}", "json", "{{json .}}", "{{index .Paths 7}}", "plain text"} {
		assert.NilError(t, checkFindingFormat(formatter.Format(format)), format)
	}
}

func TestLastChanged(t *testing.T) {
	f := &scan.Finding{Parts: []*scan.Object{{}}}
	c := &findingContext{f: f, l: listing{now: now}}
	assert.Equal(t, c.LastChanged(), "-")
	assert.Equal(t, c.ChangedAt(), "")
	f.Parts[0].Stamp.Change = now.Add(1)
	assert.Equal(t, c.LastChanged(), "in the future")
	f.Parts[0].Stamp.Change = longAgo
	assert.Equal(t, c.LastChanged(), "5 weeks ago")
	assert.Equal(t, c.ChangedAt(), "2024-04-10T12:00:00Z")
}

func TestSafeJSON(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 日本":        `"plain ü 日本"`,
		"c1 \u009b31m":      `"c1 \u009b31m"`,
		"bidi \u202e":       `"bidi \u202e"`,
		"beyond \U000e0001": `"beyond \udb40\udc01"`,
		"esc \x1b":          `"esc \u001b"`,
	} {
		out, err := safeJSON(json.Marshal(in))
		assert.NilError(t, err)
		assert.Equal(t, string(out), want)
		var back string
		assert.NilError(t, json.Unmarshal(out, &back))
		assert.Equal(t, back, in)
	}
}

// What is not sure of a size shows.
func TestHumanSize(t *testing.T) {
	for want, u := range map[string]scan.Usage{
		"1.5MB":  {Bytes: 1_500_000, Complete: true},
		">1.5MB": {Bytes: 1_500_000},
		"<1.5MB": {Bytes: 1_500_000, Complete: true, AtMost: true},
		"~1.5MB": {Bytes: 1_500_000, AtMost: true},
	} {
		assert.Equal(t, humanSize(u), want)
	}
}
