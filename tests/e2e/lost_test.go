//go:build e2e && linux

package e2e

import (
	"os"
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// added lists what is in now and was not in before.
func added(before, now []string) []string {
	return slices.DeleteFunc(now, func(name string) bool { return slices.Contains(before, name) })
}

// The layers of a container whose directory is gone.
func lostContainer(t *testing.T, h *host) []want {
	writable, initial := h.ContainerLayers(t, h.down)
	h.stopped(t, func() { h.Lose(t, "containers/"+h.down) })
	return []want{orphan("rw-layer", h.MountRecord(h.down), writable, initial)}
}

// A container's directory with neither config nor layer record: an orphan
// itself. But a record that was lost once may have been lost more often, so
// no unregistered layer is one.
func lostContainerAndRecord(t *testing.T, h *host) []want {
	writable, initial := h.ContainerLayers(t, h.down)
	h.stopped(t, func() {
		h.Lose(t, "containers/"+h.down+"/config.v2.json")
		h.Lose(t, "containers/"+h.down+"/hostconfig.json")
		h.Lose(t, h.MountRecord(h.down))
	})
	return []want{
		orphan("container", "containers/"+h.down),
		{verdict: "unsure", kind: "layer", paths: []string{writable, initial}},
	}
}

// A container that the daemon does not load because its layer record is gone.
// Its config is there: somebody misses it.
func lostRecord(t *testing.T, h *host) []want {
	writable, initial := h.ContainerLayers(t, h.down)
	h.stopped(t, func() { h.Lose(t, h.MountRecord(h.down)) })
	h.assertVerdict(t, "containers/"+h.down, isUsed)
	return []want{{verdict: "unsure", kind: "layer", paths: []string{writable, initial}}}
}

// The layers of an image that nothing names any more.
func lostUntagged(t *testing.T, h *host) []want {
	chains := h.chains(t, h.dangling)
	h.stopped(t, func() { h.Lose(t, h.ImageConfig(h.dangling)) })
	return chains
}

// The same, but a tag still names the image: a person may want it back.
func lostTagged(t *testing.T, h *host) []want {
	image := h.Load(t, engine.Archive("lost:1", engine.Tar(h.Base(t, engine.File{Name: "e", Data: "e"})...), engine.Tar(engine.File{Name: "f"})))
	chains := h.chains(t, image)
	h.stopped(t, func() { h.Lose(t, h.ImageConfig(image)) })
	for i := range chains {
		chains[i].notMine = true
	}
	return chains
}

// chains are the registered layers of an image of two that share none.
func (h *host) chains(t *testing.T, image string) []want {
	t.Helper()
	diffs := h.Lines(t, "image", "inspect", "--format", "{{join .RootFS.Layers \"\\n\"}}", image)
	assert.Equal(t, len(diffs), 2)
	var wants []want
	for i := range diffs {
		record, layer := h.Registered(t, engine.ChainID(diffs[:i+1]...))
		wants = append(wants, orphan("image-layer", record, layer))
	}
	return wants
}

// The whole image store: every record of every layer. Somebody removed it, or
// a disk was not mounted. Nothing may be called an orphan, damaged or young.
func lostImageStore(t *testing.T, h *host) []want {
	before := engine.Snapshot(t, h.Daemon)
	writable, initial := h.ContainerLayers(t, h.down)
	store, kept := h.Path("image"), h.Path("kept")
	h.Stop(t)
	assert.NilError(t, os.Rename(store, kept))
	h.Start(t)

	findings := h.Findings(t, suite.program, shortGrace...)
	h.assertComplete(t, findings)
	unsure := 0
	for _, f := range findings {
		switch f.Verdict {
		case "unsure":
			unsure++
		case "used": // containers by their configs, builds by BuildKit's databases
		default:
			assert.Check(t, false, "%v is %s: %s", f.Paths, f.Verdict, f.Reason)
		}
	}
	assert.Check(t, unsure > 0)
	for _, layer := range []string{writable, initial} {
		h.assertVerdict(t, layer, isUnsure, shortGrace...)
	}

	h.Stop(t)
	assert.NilError(t, os.RemoveAll(store))
	assert.NilError(t, os.Rename(kept, store))
	h.again(t)
	engine.Check(t, h.Daemon, before)
	h.Docker(t, "start", h.up)
	return nil
}
