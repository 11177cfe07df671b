// Package scan_test holds the scan to what it must find in data roots that
// are drawn as text.
package scan_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/source"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
	"github.com/rogpeppe/go-internal/txtar"
	"gotest.tools/v3/assert"
)

var update = flag.Bool("rewrite", false, "rewrite the wanted findings of the root files")

var times = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`)

// describe prints findings as the root files have them.
func describe(c *testkit.Case, findings []scan.Finding) string {
	var out strings.Builder
	for i := range findings {
		f := &findings[i]
		take := ""
		if f.Verdict == scan.Orphan && !f.Default {
			take = " (named only)"
		}
		fmt.Fprintf(&out, "%-7s %-11s %s%s: %s\n", f.Verdict, f.Type, f.ID, take, f.Reason)
	}
	return times.ReplaceAllString(c.Symbols(strings.ReplaceAll(out.String(), c.Dir, "ROOT")), "TIME")
}

func TestRoots(t *testing.T) {
	files, err := filepath.Glob("../roots/*.txtar")
	assert.NilError(t, err)
	assert.Assert(t, len(files) > 0)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		assert.NilError(t, err)
		script := archive.Files[0]
		assert.Equal(t, script.Name, "root", file)
		assert.Assert(t, len(archive.Files) > 1, "%s wants nothing", file)
		for i := range archive.Files[1:] {
			want := &archive.Files[i+1]
			driver, ok := strings.CutPrefix(want.Name, "want ")
			assert.Assert(t, ok && backend.Named(driver) != nil, "%s: section %q", file, want.Name)
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+driver, func(t *testing.T) {
				c, err := testkit.Run(t.TempDir(), driver, string(script.Data))
				assert.NilError(t, err)
				g, findings := testkit.Judge(t, c)
				got := describe(c, findings)
				if *update {
					want.Data = []byte(got)
				}
				assert.Equal(t, got, string(want.Data))
				roundTrip(t, g, c.Policy, findings)
				_, again := testkit.Judge(t, c)
				assert.Equal(t, describe(c, again), got, "two scans disagree")
			})
		}
		if *update {
			assert.NilError(t, os.WriteFile(file, txtar.Format(archive), 0o644))
		}
	}
}

// roundTrip checks that graph and findings survive JSON: a helper on another
// machine will speak it.
func roundTrip(t *testing.T, g *scan.Graph, p scan.Policy, findings []scan.Finding) {
	t.Helper()
	data, err := json.Marshal(g)
	assert.NilError(t, err)
	var read scan.Graph
	assert.NilError(t, json.Unmarshal(data, &read))
	again, err := json.Marshal(&read)
	assert.NilError(t, err)
	assert.Assert(t, bytes.Equal(again, data), "the graph that was read differs from the one that was written")

	data, err = json.Marshal(findings)
	assert.NilError(t, err)
	var readFindings []scan.Finding
	assert.NilError(t, json.Unmarshal(data, &readFindings))
	fromCopy, err := json.Marshal(scan.Classify(&read, p))
	assert.NilError(t, err)
	assert.Assert(t, bytes.Equal(fromCopy, data), "the graph that was read is judged otherwise")
	plan := prune.NewPlan(g, findings, prune.Options{})
	data, err = json.Marshal(prune.Result{Plan: plan})
	assert.NilError(t, err)
	var result prune.Result
	assert.NilError(t, json.Unmarshal(data, &result))
	assert.Equal(t, result.Plan.String(), plan.String())
	assert.Equal(t, prune.NewPlan(&read, readFindings, prune.Options{}).String(), plan.String(), "what was read is planned otherwise")

	assert.Equal(t, len(readFindings), len(findings))
	for i := range findings {
		assert.Assert(t, reflect.DeepEqual(readFindings[i].ID, findings[i].ID))
		assert.Equal(t, readFindings[i].Verdict, findings[i].Verdict)
	}
}

// Every backend has roots in which something is used, orphan, young and
// unsure.
func TestEveryBackendHasRoots(t *testing.T) {
	for _, b := range backend.All {
		files, err := filepath.Glob("../roots/*.txtar")
		assert.NilError(t, err)
		seen := map[string]bool{}
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			assert.NilError(t, err)
			for _, section := range archive.Files {
				if section.Name != "want "+b.Name {
					continue
				}
				for _, line := range strings.Split(string(section.Data), "\n") {
					if fields := strings.Fields(line); len(fields) > 0 {
						seen[fields[0]] = true
					}
				}
			}
		}
		for _, v := range []scan.Verdict{scan.Used, scan.Orphan, scan.Young, scan.Unsure} {
			assert.Assert(t, seen[v.String()], "no root of %s has anything that is %s", b.Name, v)
		}
	}
}

func TestListsAreValid(t *testing.T) {
	assert.NilError(t, scan.Validate(backend.All, source.All))
}
