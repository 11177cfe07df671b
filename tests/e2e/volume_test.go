//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// TestVolumes uses volumes in every way, and loses the use of some.
func TestVolumes(t *testing.T) {
	at(t, engines, "volumes", func(t *testing.T, h *host) {
		volumeOf := func(id string) string {
			return "volumes/" + h.Docker(t, "inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", id)
		}
		write := []string{"base:1", "sh", "-c", "echo x >/data/x"}
		down := func(volume string) string { return h.Down(t, append([]string{"--volume=" + volume}, write...)...) }

		removed := down("/data")
		anonymous := volumeOf(removed)
		h.Docker(t, "rm", removed)
		h.Docker(t, "rm", down("left:/data"))
		stopped := volumeOf(down("/data"))
		h.Docker(t, "volume", "create", "bound")
		h.Create(t, "--volume="+h.Path("volumes/bound/_data")+":/data", "base:1", "true")
		h.Docker(t, "volume", "create", "--opt=type=tmpfs", "--opt=device=tmpfs", "ram")

		// A container that the daemon drops, for it has another's name.
		dropped := h.Create(t, "--volume=/data", "base:1", "true")
		unloaded := volumeOf(dropped)
		file := "containers/" + dropped + "/config.v2.json"
		was := h.Read(t, file)
		h.stopped(t, func() {
			var config map[string]any
			assert.NilError(t, json.Unmarshal([]byte(was), &config))
			config["Name"] = "/made"
			data, err := json.Marshal(config)
			assert.NilError(t, err)
			assert.NilError(t, os.WriteFile(h.Path(file), data, 0o600))
		})
		ids := h.Docker(t, "ps", "--all", "--quiet", "--no-trunc")
		if strings.Contains(ids, dropped) { // then it has dropped the other
			assert.Assert(t, !strings.Contains(ids, h.made))
		}
		assert.NilError(t, os.MkdirAll(h.Path("volumes/unlisted/_data"), 0o700))

		for _, used := range []string{stopped, unloaded, "volumes/bound", "volumes/named"} {
			h.assertVerdict(t, used, isUsed, shortGrace...)
		}
		ram := want{verdict: "unsure", kind: "volume", paths: []string{"volumes/ram"}}
		left := orphan("volume", "volumes/left")
		left.notMine = true
		h.assertFindings(t, []want{orphan("volume", anonymous), left, orphan("volume", "volumes/unlisted"), ram})
	})
}
