//go:build e2e && linux

package e2e

import (
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// The duplicate that BuildKit makes when two builds come to the same layer:
// the second is never registered, yet what is built on it lies on it. While
// it does, it is used, although no record in the whole data root names it.
func duplicateBuild(t *testing.T, h *host) []want {
	before := h.Layers()
	for _, name := range []string{"twin:1", "twin:2"} {
		h.BuildKit(t, name, "FROM base:1\nCOPY twin /twin\nRUN head -c 999 /dev/urandom >/r\n", engine.File{Name: "twin", Data: "twin"})
	}
	h.Docker(t, "builder", "prune", "--all", "--force")
	twins := slices.DeleteFunc(added(before, h.Layers()), func(layer string) bool { return h.isRegistered(t, layer) })
	assert.Equal(t, len(twins), 1, "unregistered after the prune: %v", twins)

	verdict, whole := isUsed, h.Whole()
	if whole {
		verdict = isOrphan // what was built on it has a copy: nothing lies on it
	}
	// By what is on disk alone, then with the daemon as a second witness.
	h.Stop(t)
	h.assertVerdict(t, twins[0], verdict, "--data-root", h.Root)
	h.again(t)
	h.assertVerdict(t, twins[0], verdict)
	h.prune(t)
	assert.Equal(t, h.Has(twins[0]), !whole)
	for _, name := range []string{"twin:1", "twin:2"} {
		assert.Equal(t, h.Docker(t, "run", "--rm", "--network=none", name, "cat", "/twin"), "twin")
	}
	h.Docker(t, "rmi", "twin:1", "twin:2")
	if whole {
		return nil
	}
	// The last that lay on it has gone.
	return []want{orphan("layer", twins[0])}
}

// isRegistered reports whether a record of the image store names the layer.
func (h *host) isRegistered(t *testing.T, layer string) bool {
	t.Helper()
	id := strings.TrimPrefix(layer, h.LayerDir()+"/")
	return slices.ContainsFunc(h.List(h.Chains()), func(record string) bool { return h.Read(t, record+"/cache-id") == id })
}
