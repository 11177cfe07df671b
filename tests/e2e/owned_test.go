//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// What has an owner that is easily overlooked.

// Images that containers see beside their own, whole and in part. What they
// lie on is recorded under names that only the containers' configs know.
func imageMounts(t *testing.T, h *host) []want {
	h.Load(t, engine.Archive("seen:1", engine.Tar(engine.File{Name: "dir/"}, engine.File{Name: "dir/f", Data: "f"}), engine.Tar(engine.File{Name: "g"})))
	records := filepath.Dir(h.MountRecord(h.up))
	before := h.List(records)
	containers := []string{h.CreateOnImage(t, "base:1", "seen:1", ""), h.CreateOnImage(t, "base:1", "seen:1", "dir")}
	start := func() { h.Docker(t, append([]string{"start"}, containers...)...) }
	start()
	mounts := added(before, h.List(records))
	assert.Equal(t, len(mounts), 4, "records of two containers and of what they see: %v", mounts)
	used := func(args ...string) {
		t.Helper()
		for _, m := range mounts {
			h.assertVerdict(t, m, isUsed, args...)
			h.assertVerdict(t, h.LayerDir()+"/"+h.Read(t, m+"/mount-id"), isUsed, args...)
		}
	}
	used(shortGrace...)
	h.Docker(t, append([]string{"stop"}, containers...)...)
	used(shortGrace...)
	h.Stop(t)
	used("--data-root", h.Root)
	h.again(t)
	used(shortGrace...)
	h.Docker(t, append([]string{"rm", "--force"}, containers...)...)
	return nil
}

// A leaked layer that a container has as a bind mount, started or not: it is
// named by its path alone.
func bindBelowRoot(t *testing.T, h *host) []want {
	left := h.KillInImport(t, 1<<20)
	h.again(t)
	h.assertVerdict(t, left.Layer, isOrphan)
	id := h.Create(t, "--volume="+h.Path(left.Layer)+":/bound", "base:1", "true")
	h.assertVerdict(t, left.Layer, isUsed, shortGrace...)
	h.Stop(t)
	h.assertVerdict(t, left.Layer, isUsed, "--data-root", h.Root)
	h.again(t)
	h.Docker(t, "rm", id)
	return []want{orphan("layer", left.Layer), orphan("download", left.WriteSet)}
}

// A container of the storage driver that the daemon used before. It is not
// loaded, and is not lost.
func otherDriver(t *testing.T, h *host) []want {
	driver := h.Driver
	h.Stop(t)
	h.Driver = "vfs"
	h.Start(t)
	h.Import(t, "base:1", h.Base(t)...)
	id := h.Create(t, "--volume=/anonymous", "base:1", "true")
	record := h.MountRecord(id)
	h.stopped(t, func() { h.Driver = driver })

	assert.Check(t, !strings.Contains(h.Docker(t, "ps", "--all", "--quiet", "--no-trunc"), id), "the daemon has loaded it")
	h.Stop(t)
	h.assertVerdict(t, record, isUsed, "--data-root", h.Root) // it may be what the daemon uses
	h.again(t)
	left := orphan("backend", "vfs", "image/vfs", "containers/"+id)
	left.notMine = true
	return []want{left}
}

// A container that runs on while the daemon is down. Its record may be gone by
// then: its layers are mounted.
func liveRestore(t *testing.T, h *host) []want {
	h.LiveRestore(t)
	h.again(t)
	writable, _ := h.ContainerLayers(t, h.up)
	h.Stop(t)
	h.assertVerdict(t, writable, isUsed, "--data-root", h.Root)
	out := h.offline(t, 1, "prune", "--force")
	assert.Check(t, strings.Contains(out.Stderr, h.Root+": is in use though no daemon answers: "), out.Stderr)
	dir, away := h.Path("containers/"+h.up), h.aside(t, h.up)
	assert.NilError(t, os.Rename(dir, away))
	h.assertVerdict(t, writable, isHeld, "--data-root", h.Root)
	assert.NilError(t, os.Rename(away, dir))
	h.Start(t)
	assert.Equal(t, h.Docker(t, "inspect", "--format", "{{.State.Running}}", h.up), "true")
	return nil
}

// A container that the daemon dropped because it has another's name, as after
// a careless restore of a backup. It is whole.
func sameName(t *testing.T, h *host) []want {
	file := "containers/" + h.made + "/config.v2.json"
	was := h.Read(t, file)
	h.stopped(t, func() {
		var config map[string]any
		assert.NilError(t, json.Unmarshal([]byte(was), &config))
		config["Name"] = "/down"
		data, err := json.Marshal(config)
		assert.NilError(t, err)
		assert.NilError(t, os.WriteFile(h.Path(file), data, 0o600))
	})
	dropped := h.made
	if loaded := h.Docker(t, "ps", "--all", "--quiet", "--no-trunc"); strings.Contains(loaded, h.made) {
		assert.Check(t, !strings.Contains(loaded, h.down), "the daemon has loaded both")
		dropped = h.down
	}
	writable, initial := h.ContainerLayers(t, dropped)
	for _, path := range []string{"containers/" + dropped, h.MountRecord(dropped), writable, initial} {
		h.assertVerdict(t, path, isUsed, shortGrace...)
	}
	// At its next start the daemon may drop the other one.
	h.stopped(t, func() { assert.NilError(t, os.WriteFile(h.Path(file), []byte(was), 0o600)) })
	return nil
}

// Databases of builds that were deleted under the daemon, which goes on with
// them. What they may name is in doubt.
func lostDatabases(t *testing.T, h *host) []want {
	twin := duplicateBuild(t, h)[0]
	h.assertVerdict(t, twin.paths[0], isOrphan)
	for _, base := range []string{"snapshots.db", "metadata_v2.db", "containerdmeta.db"} {
		// The file lives on below another name, to be put back.
		name, away := h.Path("buildkit/"+base), h.aside(t, base)
		assert.NilError(t, os.Link(name, away))
		assert.NilError(t, os.Remove(name))
		h.assertVerdict(t, twin.paths[0], isUnsure, shortGrace...)
		assert.NilError(t, os.Rename(away, name))
		h.assertVerdict(t, twin.paths[0], isOrphan)
	}
	return []want{twin}
}

// aside is a place in the data root that is not the daemon's. Outside there is
// none that a name can move to: dockerd mounts the root onto itself.
func (h *host) aside(t *testing.T, name string) string {
	t.Helper()
	assert.NilError(t, os.MkdirAll(h.Path("lost+found"), 0o700))
	return h.Path("lost+found/" + name)
}
