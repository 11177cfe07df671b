//go:build e2e && linux

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// A half-written layer that nothing names, and its record in the making.
func killInImport(t *testing.T, h *host) []want {
	left := h.KillInImport(t, 4<<20)
	h.again(t)
	return []want{orphan("layer", left.Layer), orphan("download", left.WriteSet)}
}

// The same, and a registered layer that no image has. No registry has it, but
// no tag lost its image either.
func killInLoad(t *testing.T, h *host) []want {
	left := h.KillInLoad(t, 1<<20)
	h.again(t)
	assert.Check(t, !h.Has(left.Temp), "%s: the daemon's start should have removed it", left.Temp)
	return []want{
		orphan("image-layer", left.Chain, left.ChainLayer),
		orphan("layer", left.Layer),
		orphan("download", left.WriteSet),
	}
}

// A registered layer that no image has and a registry does.
func killInPull(t *testing.T, h *host) []want {
	left := h.KillInPull(t)
	h.again(t)
	return append(h.halfWritten(t), orphan("image-layer", left.Record, left.Layer))
}

// halfWritten is what the daemon was just writing of registries when it was
// killed, if it was.
func (h *host) halfWritten(t *testing.T) []want {
	t.Helper()
	files, err := filepath.Glob(h.Path("image/" + h.Driver + "/distribution/*/*/.tmp-*"))
	assert.NilError(t, err)
	var wants []want
	for _, file := range files {
		name, err := filepath.Rel(h.Path("."), file)
		assert.NilError(t, err)
		wants = append(wants, orphan("download", name))
	}
	return wants
}

// A record that says it is being removed, and what is left of its layer.
func killInRemove(t *testing.T, h *host) []want {
	record, layer := h.KillInRemove(t)
	h.again(t)
	return []want{orphan("download", record, layer)}
}

// The layers of a container that could not be recorded: the daemon leaves them
// when it cannot write its record, as on a full disk; the newest only the -init.
func failedCreate(t *testing.T, h *host) []want {
	before := h.Layers()
	records := h.Path(filepath.Dir(h.MountRecord(h.made)))
	away := records + ".away"
	assert.NilError(t, os.Rename(records, away))
	assert.NilError(t, os.WriteFile(records, nil, 0o600)) // where a directory should be
	_, err := h.Try(nil, "create", "base:1", "true")
	assert.NilError(t, os.Remove(records))
	assert.NilError(t, os.Rename(away, records))
	assert.ErrorContains(t, err, "not a directory")
	h.again(t)
	left := added(before, h.Layers())
	assert.Check(t, len(left) > 0, "no layer is left")
	return []want{orphan("layer", left...)}
}

// The short link of a layer whose making failed: the driver removes the
// directory and forgets the link.
func strayLink(t *testing.T, h *host) []want {
	before := h.List(h.Links())
	_, base := h.Registered(t, engine.DiffID(engine.Tar(h.Base(t)...)))
	away := h.Path(base + "/link.away")
	assert.NilError(t, os.Rename(h.Path(base+"/link"), away))
	_, err := h.Try(nil, "create", "base:1", "true")
	assert.NilError(t, os.Rename(away, h.Path(base+"/link")))
	assert.ErrorContains(t, err, "no such file or directory")
	h.again(t)
	var wants []want
	for _, link := range added(before, h.List(h.Links())) {
		wants = append(wants, orphan("link", link))
	}
	assert.Equal(t, len(wants), 1, "%v", wants)
	return wants
}
