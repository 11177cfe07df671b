//go:build e2e && linux

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// A stopped daemon's root says the same as it does while the daemon runs, and
// looking at it changes nothing: not a byte, not a time.
func TestOffline(t *testing.T) { at(t, everywhere, "stopped", stoppedRoot) }

func stoppedRoot(t *testing.T, h *host) {
	before := engine.Snapshot(t, h.Daemon)
	live := engine.Truth(t, h.Daemon)
	lost := h.Create(t, "base:1", "true")
	writable, initial := h.ContainerLayers(t, lost)
	left := h.KillInLoad(t, 1<<20)
	h.Lose(t, "containers/"+lost)

	// Nothing is in flight: age is not asked.
	wants := []want{
		orphan("image-layer", left.Chain, left.ChainLayer),
		orphan("layer", left.Layer),
		orphan("download", left.WriteSet),
		orphan("rw-layer", h.MountRecord(lost), writable, initial),
	}
	tree := stamps(t, h.Root)
	h.assertSays(t, live, append(wants, orphan("download", left.Temp)), "--data-root", h.Root)
	assert.DeepEqual(t, tree, stamps(t, h.Root))

	h.again(t)
	engine.Check(t, h.Daemon, before)
	h.assertFindings(t, wants)
}

// stamps are the identity, size and times of everything below a directory. The
// time of the last read does not count.
func stamps(t *testing.T, dir string) map[string]syscall.Stat_t {
	t.Helper()
	all := map[string]syscall.Stat_t{}
	assert.NilError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		s := *info.Sys().(*syscall.Stat_t)
		s.Atim = syscall.Timespec{}
		all[path] = s
		return nil
	}))
	return all
}
