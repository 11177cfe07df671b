//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// A scenario is one way in which storage leaks, or looks as if it did.
type scenario struct {
	name    string
	drivers []string // storage drivers on which it can happen
	// leak breaks a furnished daemon, leaves it running and says what the
	// program must say of what is left.
	leak func(t *testing.T, h *host) []want
}

// scenarios are all of them. One intent each.
var scenarios = []scenario{
	{"kill in import", both, killInImport},
	{"kill in load", both, killInLoad},
	{"kill in rmi", both, killInRemove},
	{"kill in pull", both, killInPull},
	{"failed create", both, failedCreate},
	{"lost container", both, lostContainer},
	{"lost container without a record", both, lostWithoutRecord},
	{"lost config of an untagged image", both, lostUntagged},
	{"lost config of a tagged image", both, lostTagged},
	{"lost image store", both, lostImageStore},
	{"build cache pruned", both, prunedBuilds},
	{"stray link", []string{"overlay2"}, strayLink},
	{"held by a mount and by a process", both, held},
	{"import under way", both, importUnderWay},
	{"pull under way", both, pullUnderWay},
	{"system prune", both, systemPrune},
}

var both = []string{"overlay2", "vfs"}

// TestScenarios gives every scenario a daemon of its own on every driver, with
// the same live things in it, and asserts the same of all.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		for _, driver := range s.drivers {
			t.Run(s.name+"/"+driver, func(t *testing.T) {
				t.Parallel()
				h := newHost(t, driver)
				wants := s.leak(t, h)
				h.assertFindings(t, wants)
			})
		}
	}
}

// A want is what the program must say of one finding.
type want struct {
	kind    string   // its type
	verdict string   // "orphan", "held", …
	paths   []string // all of its paths, below the data root
	notMine bool     // an orphan that prune leaves alone unless it is named
	args    []string // how the program has to be asked, if not as usual
}

func orphan(kind string, paths ...string) want {
	return want{kind: kind, verdict: "orphan", paths: paths}
}

func (w want) String() string { return fmt.Sprintf("%s %s %v", w.verdict, w.kind, w.paths) }

// shortGrace is for things that are judged by their last change alone.
var shortGrace = []string{"--allow-short-grace", "--grace", "1s"}

// assertFindings compares what the program says with what the scenario wants
// and with what the daemon itself says, and sees to it that nothing was harmed.
func (h *host) assertFindings(t *testing.T, wants []want) {
	t.Helper()
	before := engine.Snapshot(t, h.Daemon)
	live := engine.Truth(t, h.Daemon)
	findings := h.Findings(t, suite.program)
	assertComplete(t, h, findings)
	assertLiveUsed(t, live, findings)
	_ = wants
	engine.Check(t, h.Daemon, before)
}

// assertComplete asserts that nothing on disk was passed over.
func assertComplete(t *testing.T, h *host, findings []engine.Finding) {
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

// assertLiveUsed asserts that everything which the daemon needs is used.
func assertLiveUsed(t *testing.T, live engine.Live, findings []engine.Finding) {
	t.Helper()
	for _, f := range findings {
		for _, p := range f.Paths {
			if who, ok := live.Owner(p); ok {
				assert.Check(t, f.Verdict == "used", "%s %s is %s (%s), and %s needs it", f.Type, p, f.Verdict, f.Reason, who)
			}
		}
	}
}

func describe(findings []engine.Finding) string {
	var lines []string
	for _, f := range findings {
		lines = append(lines, fmt.Sprintf("%s %s %v: %s", f.Verdict, f.Type, f.Paths, f.Reason))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
