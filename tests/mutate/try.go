package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A mutation is one break of one rule (DESIGN, section 4).
type mutation struct {
	rule int
	what string // the check that goes
	file string // below the module's root
	old  string // stands once in the file
	new  string
}

func (m mutation) String() string { return fmt.Sprintf("rule %d %s: %s", m.rule, m.file, m.what) }

// apply returns the file's text with the mutation in it.
func (m mutation) apply(text string) (string, error) {
	if n := strings.Count(text, m.old); n != 1 {
		return "", fmt.Errorf("%s: stands there %d times: %q: follow the code in table_*.go", m, n, m.old)
	}
	return strings.Replace(text, m.old, m.new, 1), nil
}

// stages are the packages whose tests are asked, the quick ones first; the
// first that is red ends it.
var stages = [][]string{
	{"./scan", "./scan/driver", "./scan/containerd", "./tests/scan"},
	{"./scan/archive", "./scan/catalog", "./scan/layerdb", "./prune/outfile", "./prune/rescue"},
	{"./scan/source", "./scan/mount", "./scan/process", "./scan/locate", "./scan/tree"},
	{"./tests/property", "./tests/conformance"},
	{"./tests/script"},
}

// removal are the stages that come before the others for what removes.
var removal = [][]string{{"./prune/..."}, {"./tests/prune"}}

// asked are the stages for a mutation.
func asked(m mutation, stages [][]string) [][]string {
	if strings.HasPrefix(m.file, "prune/") {
		return slices.Concat(removal, stages)
	}
	return stages
}

// A tester runs the tests of a copy of the module.
type tester struct {
	dir    string
	stages [][]string
}

// A result is what the tests said of a mutation.
type result struct {
	verdict string // "red", "GREEN", or what kept it from being tried
	by      string // the test that went red
}

// try applies a mutation, runs the tests and takes it back. It reports whether
// some test noticed.
func (t *tester) try(ctx context.Context, m mutation) (result, bool) {
	path := filepath.Join(t.dir, m.file)
	text, err := os.ReadFile(path)
	if err != nil {
		return result{"ERROR", err.Error()}, false
	}
	broken, err := m.apply(string(text))
	if err != nil {
		return result{"ERROR", err.Error()}, false
	}
	if err := os.WriteFile(path, []byte(broken), 0o644); err != nil {
		return result{"ERROR", err.Error()}, false
	}
	test, err := t.test(ctx, asked(m, t.stages))
	if restored := os.WriteFile(path, text, 0o644); err == nil {
		err = restored
	}
	switch {
	case err != nil:
		return result{"ERROR", err.Error()}, false
	case test == "":
		return result{"GREEN", "no test notices"}, false
	}
	return result{"red", test}, true
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// test runs the stages and returns the test that failed, "" if none did. Code
// that does not compile is an error: it shows nothing.
func (t *tester) test(ctx context.Context, stages [][]string) (string, error) {
	for _, packages := range stages {
		args := append([]string{"test", "-count=1", "-vet=off", "-failfast", "-timeout=10m"}, packages...)
		out, err := t.run(ctx, args...)
		if err == nil {
			continue
		}
		names := failed.FindAllStringSubmatch(out, -1)
		switch {
		case strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]"):
			return "", fmt.Errorf("does not compile: %s", out)
		case len(names) > 0:
			return names[len(names)-1][1], nil
		case strings.Contains(out, "panic:"):
			return "a panic", nil
		}
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return "", nil
}

func (t *tester) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = t.dir
	out, err := cmd.CombinedOutput()
	return string(bytes.TrimSpace(out)), err
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list -m: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
