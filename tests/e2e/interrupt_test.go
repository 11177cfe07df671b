//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// TestInterrupted ends prune, the daemon, or both in turn at each moment of a
// run. Whatever it was, nothing is lost: what was not confirmed is back, what
// was is carried to its end by the next run, and that one does the rest.
func TestInterrupted(t *testing.T) {
	for _, interrupt := range []struct {
		name string
		do   func(t *testing.T, a *attempt)
	}{
		{"prune is killed", func(t *testing.T, a *attempt) { a.kill(t) }},
		{"dockerd is killed", func(t *testing.T, a *attempt) {
			a.h.Kill(t)
			code := a.goOn(t)
			assert.Check(t, code == 1 || code == 4, "exit status %d: %s", code, a.output())
			a.h.again(t)
		}},
		{"dockerd is restarted", func(t *testing.T, a *attempt) {
			a.h.again(t)
			code := a.goOn(t)
			assert.Check(t, code == 1 || code == 4, "exit status %d: %s", code, a.output())
			assert.Check(t, strings.Contains(a.output(), "the daemon was stopped or started meanwhile"), a.output())
		}},
	} {
		at(t, busy, interrupt.name, func(t *testing.T, h *host) {
			wants, moves, gate := h.leakMuch(t)
			was, links := h.picture(t), h.List(h.Links())
			for _, m := range moments {
				h.assertVerdict(t, h.MountRecord(h.down), isOrphan, shortGrace...) // that it was put back is a change
				a := h.attempt(t, m, moves, gate)
				t.Log(interrupt.name, m.name)
				interrupt.do(t, a)
				if !m.over {
					// Recovers, and does nothing else.
					h.command(t, 0, "purge", "--expired")
					h.assertSame(t, was, paths(wants))
					assert.Check(t, h.Links() == "" || slices.Equal(h.List(h.Links()), links), "%s: had %q", h.Links(), links)
				}
			}
			h.prune(t)
			h.assertRemoved(t, was, wants)
		})
	}
}

// leakMuch leaks a thing of each sort, and more of them than there are steps
// in a batch. It says what is leaked, in how many moves what goes by hand is
// taken, and where its unlinking is held up.
func (h *host) leakMuch(t *testing.T) (wants []want, moves int, gate *engine.Gate) {
	t.Helper()
	left := h.KillInLoad(t, 1<<20)
	wants = []want{
		orphan("image-layer", left.Chain, left.ChainLayer), orphan("layer", left.Layer), orphan("download", left.WriteSet),
	}
	// What a write-set is made of does not matter.
	for i := range 100 {
		set := fmt.Sprintf("%s/layerdb/tmp/write-set-%d", h.ImageDir(), 1000+i)
		assert.NilError(t, os.Mkdir(h.Path(set), 0o700))
		wants = append(wants, orphan("download", set))
	}
	gate = h.freeze(t, h.Path(left.WriteSet)) // a subvolume goes as a whole, whatever is in it
	h.Start(t)
	writable, initial := h.ContainerLayers(t, h.down)
	h.stopped(t, func() { h.Lose(t, "containers/"+h.down) })
	wants = append(wants, orphan("rw-layer", h.MountRecord(h.down), writable, initial))
	// Every path but those of the chain.
	moves = len(paths(wants)) - 2
	if h.Links() != "" {
		moves += 3 // the short links of the layers
	}
	return wants, moves, gate
}

// paths are those of all wants.
func paths(wants []want) []string {
	var all []string
	for _, w := range wants {
		all = append(all, w.paths...)
	}
	return all
}

// TestReclaimed compares what prune says with what du says, and goes on until
// nothing is left: what the daemon pins goes after its restart.
func TestReclaimed(t *testing.T) {
	t.Parallel()
	h := newHost(t, place{"debian", "overlay2"})
	left := h.KillInLoad(t, 8<<20)
	h.again(t)
	const large = "head -c 5000000 /dev/urandom >/large"
	image := h.Load(t, engine.Archive("pin:1", engine.Tar(h.Base(t, engine.File{Name: "p", Data: strings.Repeat("p", 3<<20)})...), engine.Tar(engine.File{Name: "q", Data: "q"})))
	pinned := h.chains(t, image)
	lost := h.Down(t, "pin:1", "sh", "-c", large)
	other := h.Down(t, "base:1", "sh", "-c", large)
	h.stopped(t, func() {
		h.Lose(t, "containers/"+lost)
		h.Lose(t, "containers/"+other)
	})
	h.Docker(t, "rmi", "pin:1")
	for _, p := range paths(pinned) {
		assert.Assert(t, h.Has(p), "%s: the vanished container does not hold it", p)
	}
	before := engine.Snapshot(t, h.Daemon)

	h.assertReclaims(t, 8<<20+2*5_000_000, "more after the daemon's next restart")
	for _, p := range append(paths(pinned), h.List(".docker-orphans/runs")...) {
		assert.Check(t, h.Has(p), "%s is gone", p)
	}
	for _, p := range []string{left.Layer, left.ChainLayer, h.MountRecord(lost), h.MountRecord(other)} {
		assert.Check(t, !h.Has(p), "%s is there", p)
	}
	h.assertNothingToDo(t)
	h.again(t)
	h.assertReclaims(t, 3<<20, "")
	for _, p := range paths(pinned) {
		assert.Check(t, !h.Has(p), "%s is there", p)
	}
	h.assertNothingToDo(t)
	h.again(t)
	h.assertNothingToDo(t)
	engine.Check(t, h.Daemon, before)
}

// assertReclaims prunes without quarantine, and asserts that it says that it
// frees at least so much, that du agrees, and what else it says.
func (h *host) assertReclaims(t *testing.T, least int64, says string) {
	t.Helper()
	before := h.du(t)
	out := h.pruneUntil(t, "--purge")
	freed := before - h.du(t)
	said := reclaimed(t, out.Stdout)
	assert.Check(t, said >= least, "says %d, must be %d at least: %s", said, least, out.Stdout)
	// It prints three digits; the rest is its journal.
	assert.Check(t, max(freed-said, said-freed) < said/50, "says %d, du says %d", said, freed)
	assert.Check(t, strings.Contains(out.Stdout, says), out.Stdout)
}

// pruneUntil prunes until nothing is left to try, and returns what the run
// said that did something.
func (h *host) pruneUntil(t *testing.T, args ...string) engine.Output {
	t.Helper()
	var out engine.Output
	for range patience {
		out = h.Run(t, suite.program, slices.Concat([]string{"-H", h.Host}, shortGrace, []string{"prune", "--force"}, args)...)
		if out.Code == 0 {
			return out
		}
		assert.Assert(t, out.Code == 4 && strings.Contains(out.Stdout, "Total reclaimed space: 0B"), "%s%s", out.Stdout, out.Stderr)
	}
	assert.Assert(t, false, "prune never gets to its end: %s%s", out.Stdout, out.Stderr)
	return out
}

func (h *host) assertNothingToDo(t *testing.T) {
	t.Helper()
	out := h.command(t, 0, slices.Concat(shortGrace, []string{"prune", "--dry-run"})...)
	assert.Check(t, strings.Contains(out.Stdout, "Nothing would be removed."), out.Stdout)
}

// reclaimed is what prune says that it has freed, in bytes.
func reclaimed(t *testing.T, says string) int64 {
	t.Helper()
	_, text, ok := strings.Cut(says, "Total reclaimed space: ")
	assert.Assert(t, ok, says)
	text, _, _ = strings.Cut(text, "\n")
	var n float64
	var unit string
	_, err := fmt.Sscanf(text, "%f%s", &n, &unit)
	assert.NilError(t, err, text)
	factor, ok := map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
	assert.Assert(t, ok, text)
	return int64(n * factor)
}

// du is how much disk space everything below the data root takes, but for
// what is put by to write a journal with.
func (h *host) du(t *testing.T) int64 {
	t.Helper()
	var sum int64
	seen := map[uint64]bool{}
	for path, s := range stamps(t, h.Root) {
		if !seen[s.Ino] && filepath.Base(path) != "reserve" {
			sum += s.Blocks * 512
		}
		seen[s.Ino] = true
	}
	return sum
}
