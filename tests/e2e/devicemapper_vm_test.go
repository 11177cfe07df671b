//go:build e2e && linux && vm

package e2e

import (
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// leanHost is a daemon with few things in it: an emulated processor takes long
// for each.
func leanHost(t *testing.T, p place) *host {
	t.Helper()
	h := &host{Daemon: p.start(t)}
	h.Import(t, "base:1", h.Base(t)...)
	h.Load(t, engine.Archive("two:1", engine.Tar(h.Base(t, engine.File{Name: "c", Data: "c"})...), engine.Tar(engine.File{Name: "d", Data: "d"})))
	h.up = h.Up(t, "--name=up", "--volume=named:/named", "two:1", "sh", "-c", "echo n >/named/n; echo w >/w; sleep 100000")
	h.made = h.Create(t, "--name=made", "base:1", "true")
	return h
}

// What leaks of devicemapper, on a kernel that has it.
func TestDevicemapper(t *testing.T) {
	h := leanHost(t, place{"debian", "devicemapper"})
	lost := h.Create(t, "base:1", "true")
	writable, initial := h.ContainerLayers(t, lost)
	h.Docker(t, "rm", h.Create(t, "base:1", "true"))
	live := engine.Truth(t, h.Daemon)
	for _, name := range []string{"containers/" + lost, h.MountRecord(lost), writable, initial} {
		delete(live, name)
	}
	left := h.KillInLoad(t, 1<<18)
	h.Lose(t, "containers/"+lost)
	wants := []want{
		orphan("image-layer", left.Chain, left.ChainLayer),
		orphan("layer", left.Layer),
		orphan("download", left.WriteSet),
		orphan("rw-layer", h.MountRecord(lost), writable, initial),
	}
	h.again(t)
	online := slices.Clone(wants)
	online[3].verdict = "young" // when it was last written is told by no file
	h.assertSays(t, live, apart(online), shortGrace...)
	h.Stop(t)
	h.assertSays(t, live, apart(wants), "--data-root", h.Root)
	h.again(t)
	assert.Check(t, h.Has(left.Layer))
}

// apart is what is said of what lies apart from the files of the data root:
// prune leaves it.
func apart(wants []want) []want {
	wants = slices.Clone(wants)
	for i := range wants {
		wants[i].notMine = wants[i].kind != "download"
	}
	return wants
}
