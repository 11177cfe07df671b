//go:build e2e && linux && vm

package e2e

import (
	"os/exec"
	"path"
	"slices"
	"strings"
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

// zfs runs the program of that name.
func zfs(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("zfs", args...).CombinedOutput()
	assert.NilError(t, err, "zfs %v: %s", args, out)
	return string(out)
}

// What a stopped daemon has lost a container's record of is put aside in its
// pool, comes back, and goes for good with the snapshots that it began as. A
// daemon that is started in between, and on the rest, works.
func TestZFSStopped(t *testing.T) {
	h := &host{Daemon: place{"debian", "zfs"}.start(t)}
	h.Import(t, "base:1", h.Base(t)...)
	kept, lost := h.Create(t, "base:1", "true"), h.Create(t, "base:1", "true")
	writable, initial := h.ContainerLayers(t, lost)
	h.Stop(t)
	h.Lose(t, "containers/"+lost)
	before := h.datasets(t)

	out := h.offline(t, 0, "rm", "--force", lost)
	t.Log(out.Stdout, out.Stderr)
	t.Log(strings.Join(h.datasets(t), "\n"))
	assert.Check(t, !h.Has(writable) && !h.Has(initial) && !h.Has(h.MountRecord(lost)))
	assert.Equal(t, len(h.datasets(t)), len(before))
	h.Start(t)
	h.Docker(t, "rm", h.Create(t, "base:1", "true")) // the driver meets datasets that it does not know
	h.Stop(t)
	h.offline(t, 0, "restore", "--last")
	assert.DeepEqual(t, h.datasets(t), before)

	out = h.offline(t, 0, "rm", "--force", "--purge", lost)
	t.Log(out.Stdout, out.Stderr)
	assert.Check(t, !h.Has(writable) && !h.Has(initial) && !h.Has(h.MountRecord(lost)))
	assert.Equal(t, len(h.datasets(t)), len(before)-4, "the layer, its init and the snapshots that they began as: %v", h.datasets(t))
	h.Start(t)
	h.Docker(t, "start", kept)
	h.Docker(t, "run", "--rm", "--network=none", "base:1", "true")
}

// datasets lists all of the pool, and their snapshots.
func (h *host) datasets(t *testing.T) []string {
	t.Helper()
	return strings.Fields(zfs(t, "list", "-H", "-r", "-t", "all", "-o", "name", path.Dir(h.Dataset())))
}
