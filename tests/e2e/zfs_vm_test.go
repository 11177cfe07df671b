//go:build e2e && linux && vm

package e2e

import (
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// What leaks of zfs, on a kernel that has it: it is told from what lives, the
// daemon deletes what it knows, and what is left works.
func TestZFS(t *testing.T) {
	h := leanHost(t, place{"debian", "zfs"})
	live := engine.Truth(t, h.Daemon)
	h.assertSays(t, live, nil)
	was := engine.Snapshot(t, h.Daemon)
	image := h.Load(t, engine.Archive("", engine.Tar(h.Base(t, engine.File{Name: "e", Data: "e"})...), engine.Tar(engine.File{Name: "f", Data: "f"})))
	chains := h.chains(t, image)
	lost := h.Create(t, "base:1", "true")
	writable, initial := h.ContainerLayers(t, lost)
	left := h.KillInLoad(t, 1<<18)
	h.Lose(t, "containers/"+lost)
	h.Lose(t, h.ImageConfig(image))
	h.Start(t)
	h.assertVerdict(t, left.Layer, isHeld) // it is still mounted
	h.Stop(t)
	h.again(t)
	rest := []want{
		orphan("image-layer", left.Chain, left.ChainLayer),
		{"orphan", "layer", []string{left.Layer}, true},
		{"young", "rw-layer", []string{h.MountRecord(lost), writable, initial}, true}, // no file tells when it was last written
	}
	h.assertSays(t, live, slices.Concat(rest, chains, []want{orphan("download", left.WriteSet)}), shortGrace...)
	h.prune(t)
	assert.Check(t, h.Has(left.ChainLayer), "the layer that was being loaded is its clone")
	h.assertSays(t, live, rest, shortGrace...)
	h.Stop(t)

	for i := range rest {
		rest[i].verdict, rest[i].notMine = "orphan", true
	}
	h.assertSays(t, live, rest, "--data-root", h.Root)
	h.again(t)
	engine.Check(t, h.Daemon, was)
}
