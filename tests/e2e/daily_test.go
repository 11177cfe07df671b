//go:build e2e && linux

package e2e

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// TestDaily is the daily use: some things are labelled, storage leaks around
// them, and the line of a crontab runs. The leaks are gone, what is protected
// and what lives is there, and df adds up before and after.
func TestDaily(t *testing.T) { at(t, engines, "cron", daily) }

func daily(t *testing.T, h *host) {
	const label = "--label=protected"
	volumeOf := func(id string) string {
		return h.Docker(t, "inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", id)
	}
	write := []string{"base:1", "sh", "-c", "echo data >/data/file; echo w >/w"}
	down := func(args ...string) string { return h.Down(t, slices.Concat(args, write)...) }

	// Protected: a volume that nothing uses, a container, and one that the
	// daemon does not load. The image app:1 is, too, and so is what a container
	// of it wrote.
	h.Docker(t, "volume", "create", label, "guarded")
	h.Docker(t, "rm", down("--volume=guarded:/data"))
	stopped := down("--name=stopped", label, "--volume=/data")
	unloaded := down(label, "--volume=/data")
	unloadedVolume := "volumes/" + volumeOf(unloaded)
	written := h.Down(t, "app:1", "sh", "-c", "echo w >/w")

	// Leaks: volumes, and what a killed load and lost containers leave.
	removed := down("--volume=/data")
	goes := []string{"volumes/" + volumeOf(removed), "volumes/plain"}
	h.Docker(t, "rm", removed)
	h.Docker(t, "rm", down("--volume=plain:/data"))
	lost := h.Down(t, "base:1", "sh", "-c", "echo w >/w")
	alive := engine.Snapshot(t, h.Daemon)
	for _, name := range []string{strings.TrimPrefix(goes[0], "volumes/"), "plain"} {
		delete(alive.Volumes, name)
	}
	for _, id := range []string{unloaded, written, lost} {
		delete(alive.Containers, id)
	}
	left := h.KillInLoad(t, 4<<20)
	goes = append(goes, left.Chain, left.ChainLayer, left.Layer, left.WriteSet)
	config := "containers/" + unloaded + "/config.v2.json"
	text := strings.Replace(h.Read(t, config), `"Driver":"`+h.Driver+`"`, `"Driver":"vfs"`, 1)
	assert.NilError(t, os.WriteFile(h.Path(config), []byte(text), 0o600))
	writtenLayer, _ := h.ContainerLayers(t, written)
	h.Lose(t, "containers/"+written)
	h.Lose(t, "containers/"+lost)
	h.again(t)
	assert.Assert(t, !slices.Contains(h.Lines(t, "ps", "--all", "--quiet", "--no-trunc"), unloaded))

	h.assertUsage(t)
	cron := slices.Concat(shortGrace, []string{"--allow-quick-looks", "prune", "--force", "--all-volumes", "--filter", "label!=protected"})
	for range 2 {
		h.tried(t, cron...)
		for _, path := range goes {
			assert.Check(t, !h.Has(path), "%s is still there", path)
		}
		for _, path := range []string{"volumes/guarded", unloadedVolume, config, h.MountRecord(unloaded), h.MountRecord(written), writtenLayer} {
			assert.Check(t, h.Has(path), "%s is gone", path)
		}
		engine.Check(t, h.Daemon, alive)
		h.assertUsage(t)
		h.again(t)
	}
	assert.Equal(t, h.Docker(t, "inspect", "--format", "{{.Config.Labels}}", stopped), "map[protected:]")

	// Nothing is gone for good that somebody may miss.
	h.command(t, 0, "restore", "--last")
	now := engine.Snapshot(t, h.Daemon)
	names := slices.Collect(maps.Keys(now.Volumes))
	for _, volume := range goes[:2] {
		assert.Check(t, slices.Contains(names, strings.TrimPrefix(volume, "volumes/")), "%s is not back", volume)
		assert.Equal(t, h.Read(t, volume+"/_data/file"), "data\n")
	}
}
