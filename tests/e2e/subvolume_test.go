//go:build e2e && linux

package e2e

import (
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
	"github.com/docker-orphans/docker-orphans/tests/subvolume"
)

// What a container made of subvolumes in its layer comes back with it, and goes
// with it, be it read-only: what the daemon stumbles over.
func TestSubvolumesInALayer(t *testing.T) {
	at(t, []place{{"debian", "btrfs"}}, "lost", func(t *testing.T, h *host) {
		before := engine.Snapshot(t, h.Daemon)
		lost := h.Create(t, "app:1", "true")
		writable, initial := h.ContainerLayers(t, lost)
		h.stopped(t, func() {
			subvolume.Snapshot(t, h.Path(writable), h.Path(writable+"/copy"))
			nested := subvolume.Create(t, h.Path(writable+"/nested"))
			subvolume.Create(t, nested+"/deeper")
			subvolume.ReadOnly(t, nested)
			h.Lose(t, "containers/"+lost)
		})
		wants := []want{orphan("rw-layer", h.MountRecord(lost), writable, initial)}
		h.assertFindings(t, wants)
		h.assertPruned(t, wants)

		was := subvolumesOf(t, h)
		for range patience { // see there
			out := h.Run(t, suite.program, slices.Concat([]string{"-H", h.Host}, shortGrace, []string{"--allow-quick-looks", "rm", "--force", "--purge", lost})...)
			if out.Code == 0 {
				break
			}
			assert.Equal(t, out.Code, 4, "%s%s", out.Stdout, out.Stderr)
		}
		assert.Check(t, !h.Has(writable) && !h.Has(initial) && !h.Has(h.MountRecord(lost)))
		assert.Equal(t, subvolumesOf(t, h), was-5, "the layer, its init, and the three in it")
		engine.Check(t, h.Daemon, before)
	})
}

// subvolumesOf is how many subvolumes a daemon's file system has.
func subvolumesOf(t *testing.T, h *host) int {
	t.Helper()
	return len(subvolume.List(t, h.Root))
}
