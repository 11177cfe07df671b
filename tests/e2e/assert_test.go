//go:build e2e && linux

package e2e

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// A want is what the program must say of one finding.
type want struct {
	verdict string
	kind    string   // its type
	paths   []string // all of them, below the data root
	notMine bool     // an orphan that prune leaves alone unless it is named
}

func orphan(kind string, paths ...string) want {
	return want{verdict: "orphan", kind: kind, paths: paths}
}

// line is how a want and a finding are compared, and what a person reads.
func (w want) line() string {
	paths := slices.Sorted(slices.Values(w.paths))
	line := fmt.Sprintf("%-7s %-11s %s", w.verdict, w.kind, strings.Join(paths, " "))
	if w.verdict == "orphan" && w.notMine {
		line += " (not by default)"
	}
	return line
}

func lines(wants []want) string {
	var all []string
	for _, w := range wants {
		all = append(all, w.line())
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// unowned is what the program says of everything that it does not call used.
func unowned(findings []engine.Finding) []want {
	var all []want
	for _, f := range findings {
		if f.Verdict != "used" {
			all = append(all, want{f.Verdict, f.Type, layerPaths(f.Paths), !f.Default})
		}
	}
	return all
}

// layerPaths leaves out where devicemapper mounts its layers: what it makes when
// it first does, and goes with the layer.
func layerPaths(paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return strings.HasPrefix(p, "devicemapper/mnt/") })
}

// shortGrace is for what is judged by its last change alone, which a test
// cannot put into the past.
var shortGrace = []string{"--allow-short-grace", "--grace", "1s"}

// patience is how often a scenario asks again for an answer that is not yet the
// wanted one: things must rest for the short grace, and while other scenarios
// start and end containers some process may be between two states, which makes
// the program say unsure. It may never be wrong in the meantime.
const patience = 30

// assertFindings compares what the program says with what the scenario wants
// and with what the daemon itself says, and sees to it that nothing that lives
// was harmed.
func (h *host) assertFindings(t *testing.T, wants []want) {
	t.Helper()
	before := engine.Snapshot(t, h.Daemon)
	live := engine.Truth(t, h.Daemon)

	// Too young by last change, whatever the daemon's start says.
	young := slices.Clone(wants)
	for i, w := range young {
		if w.verdict == "orphan" && (w.kind == "rw-layer" || w.kind == "container" || w.kind == "volume" || w.kind == "backend") {
			young[i].verdict = "young"
		}
	}
	h.assertSays(t, live, young)
	h.assertSays(t, live, wants, shortGrace...)
	engine.Check(t, h.Daemon, before)
}

// assertSays asks the program until it says what is wanted.
func (h *host) assertSays(t *testing.T, live engine.Live, wants []want, args ...string) {
	t.Helper()
	var findings []engine.Finding
	for range patience {
		findings = h.Findings(t, suite.program, args...)
		h.assertComplete(t, findings)
		h.assertLive(t, live, findings)
		if lines(unowned(findings)) == lines(wants) {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	assert.Check(t, false, "%v says:\n%s\nmust say:\n%s", args, reasons(findings), lines(wants))
}

// assertVerdict asks the program until it says one of the verdicts of a path,
// and returns what it says.
func (h *host) assertVerdict(t *testing.T, path string, verdicts []string, args ...string) engine.Finding {
	t.Helper()
	var found engine.Finding
	for range patience {
		for _, f := range h.Findings(t, suite.program, args...) {
			if slices.Contains(f.Paths, path) {
				found = f
			}
		}
		if slices.Contains(verdicts, found.Verdict) {
			return found
		}
		assert.Assert(t, found.Verdict != "orphan", "%s: %s", path, found.Reason)
		time.Sleep(200 * time.Millisecond)
	}
	assert.Assert(t, false, "%s is %q and not %v: %s", path, found.Verdict, verdicts, found.Reason)
	return found
}

// What an answer may be.
var (
	isUsed    = []string{"used"}
	isOrphan  = []string{"orphan"}
	isHeld    = []string{"held"}
	isUnsure  = []string{"unsure"}
	isPending = []string{"held", "young"}
	isBusy    = []string{"used", "held", "young", "unsure"} // whatever keeps it from being taken
)

// assertComplete asserts that no layer on disk was passed over.
func (h *host) assertComplete(t *testing.T, findings []engine.Finding) {
	t.Helper()
	listed := map[string]bool{}
	for _, f := range findings {
		for _, p := range f.Paths {
			listed[p] = true
		}
	}
	for _, layer := range h.Layers() {
		assert.Check(t, listed[layer], "%s is on disk and in no finding", layer)
	}
}

// assertLive asserts that everything is used which the daemon needs.
func (h *host) assertLive(t *testing.T, live engine.Live, findings []engine.Finding) {
	t.Helper()
	for _, f := range findings {
		for _, p := range f.Paths {
			if who, ok := live.Owner(p); ok && !strings.HasPrefix(path.Base(p), ".tmp-") { // which it was writing once
				assert.Assert(t, f.Verdict == "used", "%s needs %s, which is %s: %s", who, p, f.Verdict, f.Reason)
			}
		}
	}
}

// reasons is what the program says of what it does not call used, with why.
func reasons(findings []engine.Finding) string {
	var all []string
	for _, f := range findings {
		if f.Verdict != "used" {
			all = append(all, want{f.Verdict, f.Type, f.Paths, !f.Default}.line()+": "+f.Reason)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
