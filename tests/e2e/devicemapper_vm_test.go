//go:build e2e && linux && vm

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/thin"
	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// What leaks of devicemapper, on a kernel that has it: it is told from what
// lives, the daemon deletes what it knows and what was marked, what only a
// stopped daemon's pool gives up goes then, and what is left works.
func TestDevicemapper(t *testing.T) {
	h := leanHost(t, place{"debian", "devicemapper"})
	was := engine.Snapshot(t, h.Daemon)
	live := engine.Truth(t, h.Daemon)
	lost := h.Create(t, "base:1", "true")
	writable, initial := h.ContainerLayers(t, lost)
	left := h.KillInLoad(t, 1<<18)
	h.Lose(t, "containers/"+lost)
	h.again(t)
	wants := []want{
		orphan("image-layer", left.Chain, left.ChainLayer),
		orphan("layer", left.Layer),
		orphan("download", left.WriteSet),
		{"young", "rw-layer", []string{h.MountRecord(lost), writable, initial}, true}, // no file tells when it was last written
	}
	h.assertSays(t, live, wants, shortGrace...)
	h.assertPool(t)
	h.prune(t)
	for _, name := range []string{left.Chain, left.ChainLayer, left.WriteSet} {
		assert.Check(t, !h.Has(name), "%s is an orphan, and is still there", name)
	}
	assert.Check(t, h.Has(left.Layer), "only the daemon deletes it, when it stops")
	h.Stop(t)
	assert.Check(t, !h.Has(left.Layer), "it was marked, and is still there")

	wants = []want{orphan("rw-layer", h.MountRecord(lost), writable, initial)}
	h.assertSays(t, live, wants, "--data-root", h.Root)
	before := h.pool(t)
	h.offline(t, 0, "prune", "--force")
	assert.Check(t, !h.Has(writable) && !h.Has(initial) && !h.Has(h.MountRecord(lost)))
	assert.DeepEqual(t, h.pool(t), before)
	h.again(t)
	h.Docker(t, "rm", h.Create(t, "base:1", "true")) // the driver meets devices that it does not know
	h.Stop(t)
	h.offline(t, 0, "restore", "--last")
	h.assertVerdict(t, writable, []string{"kept"}, "--data-root", h.Root)
	h.offline(t, 0, "rm", "--force", "--purge", lost)
	assert.Check(t, !h.Has(writable) && !h.Has(initial) && !h.Has(h.MountRecord(lost)))
	assert.Equal(t, len(h.pool(t)), len(before)-2)
	h.assertSays(t, live, nil, "--data-root", h.Root)
	h.again(t)
	engine.Check(t, h.Daemon, was)
}

// What a stopped daemon has lost a container's record of goes with its thin
// devices, and so does what has lost all its records, if it is named; a daemon
// that is started on the rest works with it.
func TestDevicemapperStopped(t *testing.T) {
	h := &host{Daemon: place{"debian", "devicemapper"}.start(t)}
	h.Import(t, "base:1", h.Base(t)...)
	kept, lost, bare := h.Create(t, "base:1", "true"), h.Create(t, "base:1", "true"), h.Create(t, "base:1", "true")
	writable, initial := h.ContainerLayers(t, lost)
	bareWritable, bareInitial := h.ContainerLayers(t, bare)
	h.Stop(t)
	h.Lose(t, "containers/"+lost)
	args := []string{"rm", "--force", "--purge"}
	for _, file := range []string{bareWritable, bareInitial} {
		args = append(args, fmt.Sprintf("device-%d", h.device(t, file)))
		h.Lose(t, file)
	}
	h.Lose(t, "containers/"+bare)
	h.Lose(t, h.MountRecord(bare))
	before := h.pool(t)
	out := h.offline(t, 0, "prune", "--force", "--purge")
	t.Log(out.Stdout, out.Stderr)
	assert.Check(t, !h.Has(writable) && !h.Has(initial) && !h.Has(h.MountRecord(lost)))
	assert.Equal(t, len(h.pool(t)), len(before)-2)
	out = h.offline(t, 0, args...)
	t.Log(out.Stdout, out.Stderr)
	assert.Equal(t, len(h.pool(t)), len(before)-4)
	h.Start(t)
	h.Docker(t, "start", kept)
	h.Docker(t, "run", "--rm", "--network=none", "base:1", "true")
}

// assertPool compares what df says of the pool with what the daemon does.
func (h *host) assertPool(t *testing.T) {
	t.Helper()
	var told [][2]string
	assert.NilError(t, json.Unmarshal([]byte(h.Docker(t, "info", "--format", "{{json .DriverStatus}}")), &told))
	says := map[string]string{}
	for _, t := range told {
		says[t[0]] = t[1]
	}
	line := fmt.Sprintf("\nAll layers are in the thin pool %s: %s of %s are used, and %s of %s for its metadata.\n", says["Pool Name"],
		says["Data Space Used"], says["Data Space Total"], says["Metadata Space Used"], says["Metadata Space Total"])
	out := h.command(t, 0, "df").Stdout
	assert.Check(t, strings.Contains(out, line), "%q is not in %s", line, out)
}

// device is the number of the device that a metadata file names.
func (h *host) device(t *testing.T, name string) (id uint32) {
	t.Helper()
	data, err := os.ReadFile(h.Path(name))
	assert.NilError(t, err)
	assert.NilError(t, json.Unmarshal(data, &struct {
		Device *uint32 `json:"device_id"`
	}{&id}))
	return id
}

// pool lists the numbers of the devices in the pool of a stopped daemon.
func (h *host) pool(t *testing.T) []uint32 {
	t.Helper()
	file, err := os.Open(h.Path("devicemapper/devicemapper/metadata"))
	assert.NilError(t, err)
	defer file.Close()
	m, err := thin.Read(file)
	assert.NilError(t, err)
	var ids []uint32
	for _, d := range m.Devices {
		ids = append(ids, d.ID)
	}
	return ids
}
