//go:build e2e && linux

package e2e

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// assertPruned prunes what a scenario leaked and asserts that exactly the
// orphans go, that nothing that lives is harmed, that a restart of the daemon
// changes nothing, and that what waits in quarantine comes back as it was.
func (h *host) assertPruned(t *testing.T, wants []want) {
	t.Helper()
	was := h.picture(t)
	h.prune(t)
	h.assertRemoved(t, was, wants)
}

// A picture is what a daemon had, and all that lay in its data root.
type picture struct {
	state engine.State
	tree  map[string]syscall.Stat_t
}

func (h *host) picture(t *testing.T) picture {
	t.Helper()
	return picture{engine.Snapshot(t, h.Daemon), stamps(t, h.Root)}
}

// assertRemoved asserts what there must be after a prune, however many runs
// it took since the picture.
func (h *host) assertRemoved(t *testing.T, was picture, wants []want) {
	t.Helper()
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
	engine.Check(t, h.Daemon, was.state)
	h.again(t)
	engine.Check(t, h.Daemon, was.state)
	if len(held) == 0 {
		return
	}
	h.command(t, 0, "restore", "--last")
	h.assertSame(t, was, held)
	h.again(t)
	engine.Check(t, h.Daemon, was.state)
	h.prune(t)
	for _, path := range held {
		assert.Check(t, h.Has(path), "%s was restored, and is gone again", path)
	}
}

// assertSame asserts that things are where and as they were.
func (h *host) assertSame(t *testing.T, was picture, paths []string) {
	t.Helper()
	is := stamps(t, h.Root)
	for _, p := range paths {
		assert.Check(t, h.Has(p), "%s is gone", p)
		for path, then := range was.tree {
			now := is[path]
			now.Ctim = then.Ctim // that of what was renamed itself changes
			if path == h.Path(p) || strings.HasPrefix(path, h.Path(p)+"/") {
				assert.Check(t, now == then, "%s was %v and is %v", path, then, now)
			}
		}
	}
}

// waits reports whether a thing goes to quarantine.
func (w want) waits() bool {
	return w.kind == "rw-layer" || w.kind == "container" || w.kind == "build" ||
		w.kind == "download" && slices.ContainsFunc(w.paths, func(p string) bool { return strings.HasPrefix(p, "plugins/") && strings.HasSuffix(p, "-removing") }) ||
		w.kind == "layer" && slices.ContainsFunc(w.paths, func(p string) bool { return strings.HasSuffix(p, "-init") })
}

// prune prunes without asking, with the short grace and without the wait
// between two looks, which the tests of races and interruptions keep. While
// other scenarios start and end containers some process may be between two
// states, so that something is left with a reason; then it is tried again.
func (h *host) prune(t *testing.T) {
	t.Helper()
	var out engine.Output
	for range patience {
		out = h.Run(t, suite.program, slices.Concat([]string{"-H", h.Host}, shortGrace, []string{"--allow-quick-looks", "prune", "--force"})...)
		if out.Code == 0 {
			return
		}
		assert.Assert(t, out.Code == 4, "exit status %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
	assert.Assert(t, false, "prune never gets to its end: %s%s", out.Stdout, out.Stderr)
}

// command runs a command of the program and wants an exit status.
func (h *host) command(t *testing.T, code int, args ...string) engine.Output {
	t.Helper()
	out := h.Run(t, suite.program, append([]string{"-H", h.Host}, args...)...)
	assert.Equal(t, out.Code, code, "%s: %s%s", strings.Join(args, " "), out.Stdout, out.Stderr)
	return out
}
