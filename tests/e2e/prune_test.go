//go:build e2e && linux

package e2e

import (
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// assertPruned prunes what a scenario leaked and asserts that exactly the
// orphans go, that nothing that lives is harmed, that a restart of the daemon
// changes nothing, and that what waits in quarantine comes back as it was.
func (h *host) assertPruned(t *testing.T, wants []want) {
	t.Helper()
	before := engine.Snapshot(t, h.Daemon)
	tree := stamps(t, h.Root)

	h.prune(t)
	var stay, gone, held []string
	for _, w := range wants {
		switch {
		case w.verdict != "orphan" || w.notMine:
			stay = append(stay, w.paths...)
		case w.waits():
			held = append(held, w.paths...)
		default:
			gone = append(gone, w.paths...)
		}
	}
	for _, path := range slices.Concat(gone, held) {
		assert.Check(t, !h.Has(path), "%s is an orphan, and is still there", path)
	}
	for _, path := range stay {
		assert.Check(t, h.Has(path), "%s is no orphan, and is gone", path)
	}
	engine.Check(t, h.Daemon, before)
	h.again(t)
	engine.Check(t, h.Daemon, before)
	if len(held) == 0 {
		return
	}
	h.command(t, 0, "restore", "--last")
	back := stamps(t, h.Root)
	for _, p := range held {
		for path, was := range tree {
			now := back[path]
			now.Ctim = was.Ctim // that of what was renamed itself changes
			if path == h.Path(p) || strings.HasPrefix(path, h.Path(p)+"/") {
				assert.Check(t, now == was, "%s was %v and came back as %v", path, was, now)
			}
		}
	}
	h.again(t)
	engine.Check(t, h.Daemon, before)
	h.prune(t)
	for _, path := range held {
		assert.Check(t, h.Has(path), "%s was restored, and is gone again", path)
	}
}

// waits reports whether a thing goes to quarantine.
func (w want) waits() bool {
	return w.kind == "rw-layer" || w.kind == "container" ||
		w.kind == "layer" && slices.ContainsFunc(w.paths, func(p string) bool { return strings.HasSuffix(p, "-init") })
}

// prune prunes without asking, with the short grace. While other scenarios
// start and end containers some process may be between two states, so that
// something is left with a reason; then it is tried again.
func (h *host) prune(t *testing.T) {
	t.Helper()
	for range patience {
		out := h.Run(t, suite.program, slices.Concat([]string{"-H", h.Host}, shortGrace, []string{"prune", "--force"})...)
		if out.Code == 0 {
			return
		}
		assert.Assert(t, out.Code == 4, "exit status %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
	assert.Assert(t, false, "prune never gets to its end")
}

// command runs a command of the program and wants an exit status.
func (h *host) command(t *testing.T, code int, args ...string) engine.Output {
	t.Helper()
	out := h.Run(t, suite.program, append([]string{"-H", h.Host}, args...)...)
	assert.Equal(t, out.Code, code, "%s: %s%s", strings.Join(args, " "), out.Stdout, out.Stderr)
	return out
}
