//go:build e2e && linux

package e2e

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// TestRepair breaks images in every way that setting records aside heals, and
// asserts that afterwards each can be loaded again, that nothing else was
// harmed, and that all of it comes back.
func TestRepair(t *testing.T) {
	at(t, []place{{"debian", "overlay2"}, {"debian", "vfs"}, {"debian", "btrfs"}, {"latest", "overlay2"}}, "repair", repaired)
}

// A broken image is one of layers of its own.
type broken struct {
	tag     string
	archive []byte
	id      string
	records []string // of its layers, the base first
	layers  []string
}

func (h *host) loadOf(t *testing.T, tag string) broken {
	t.Helper()
	tars := [][]byte{engine.Tar(h.Base(t, engine.File{Name: "own", Data: tag})...), engine.Tar(engine.File{Name: "second", Data: tag}), engine.Tar(engine.File{Name: "third", Data: tag})}
	b := broken{tag: tag, archive: engine.Archive(tag, tars...)}
	b.id = h.Load(t, b.archive)
	var diffs []string
	for _, layer := range tars {
		diffs = append(diffs, engine.DiffID(layer))
		record, layer := h.Registered(t, engine.ChainID(diffs...))
		b.records, b.layers = append(b.records, record), append(b.layers, layer)
	}
	return b
}

func repaired(t *testing.T, h *host) {
	was := engine.Snapshot(t, h.Daemon)
	gone, empty, nameless, damaged := h.loadOf(t, "gone:1"), h.loadOf(t, "empty:1"), h.loadOf(t, "nameless:1"), h.loadOf(t, "damaged:1")
	h.stopped(t, func() {
		h.Lose(t, gone.layers[1])
		h.empty(t, empty.records[2])
		h.Lose(t, nameless.records[1]+"/cache-id")
		assert.NilError(t, os.WriteFile(h.Path(h.ImageConfig(damaged.id)), []byte("{"), 0o600))
	})
	h.checks(t, 2, gone.records[1]+": its layer "+gone.layers[1]+" is gone")
	h.checks(t, 2, empty.records[2]+": the entry is empty")
	h.checks(t, 2, nameless.records[1]+": the entry has no cache-id")
	h.checks(t, 2, h.ImageConfig(damaged.id)+": its content does not match its digest")

	// What the daemon has not loaded goes while it runs.
	out := h.Run(t, suite.program, "-H", h.Host, "check", "--repair", "--force")
	assert.Equal(t, out.Code, 2, "%s%s", out.Stdout, out.Stderr)
	assert.Check(t, strings.Contains(out.Stderr, "Not repaired: image gone:1: the daemon has it in memory"), out.Stderr)
	assert.Check(t, strings.Contains(out.Stderr, "Not repaired: image nameless:1: the daemon may have some of its layers in memory"), out.Stderr)
	for _, name := range []string{empty.records[2], h.ImageConfig(empty.id), h.ImageConfig(damaged.id)} {
		assert.Check(t, !h.Has(name), "%s is still there", name)
	}
	h.loads(t, empty, damaged)

	// The rest goes while it does not.
	h.Stop(t)
	h.offline(t, 0, "check", "--repair", "--force")
	for _, b := range []broken{gone, nameless} {
		has := h.Has(b.records[1]) || h.Has(b.records[2]) || h.Has(b.layers[2]) || h.Has(h.ImageConfig(b.id))
		assert.Check(t, !has, "%s is still there", b.tag)
		has = h.Has(b.records[0]) && h.Has(b.layers[0])
		assert.Check(t, has, "%s: its base is gone", b.tag)
	}
	h.offline(t, 0, "restore", "--last")
	for _, b := range []broken{gone, nameless} {
		has := h.Has(b.records[1]) && h.Has(b.records[2]) && h.Has(b.layers[2]) && h.Has(h.ImageConfig(b.id))
		assert.Check(t, has, "%s is not back", b.tag)
	}
	h.offline(t, 2, "check")
	h.offline(t, 0, "check", "--repair", "--force")
	h.again(t)
	h.loads(t, gone, nameless)
	h.again(t)
	h.loads(t, gone, empty, nameless, damaged)

	// An empty entry is in the way of a load, until it is set aside.
	h.stopped(t, func() { h.empty(t, empty.records[2]) })
	_, err := h.Try(bytes.NewReader(empty.archive), "load")
	assert.Check(t, err != nil && strings.Contains(err.Error(), "file exists"), "%v", err)
	out = h.Run(t, suite.program, "-H", h.Host, "check", "--repair", "--force")
	assert.Equal(t, out.Code, 0, "%s%s", out.Stdout, out.Stderr)
	h.loads(t, empty)
	h.Docker(t, "rmi", gone.tag, empty.tag, nameless.tag, damaged.tag)
	engine.Check(t, h.Daemon, was)
}

// empty takes all files from an entry of layerdb.
func (h *host) empty(t *testing.T, record string) {
	t.Helper()
	for _, name := range h.List(record) {
		h.Lose(t, name)
	}
}

// loads asserts that images can be loaded again, and used.
func (h *host) loads(t *testing.T, images ...broken) {
	t.Helper()
	for _, b := range images {
		assert.Equal(t, h.Load(t, b.archive), b.id)
		out := h.Docker(t, "run", "--rm", "--network=none", b.tag, "cat", "/own", "/second", "/third")
		assert.Equal(t, out, b.tag+b.tag+b.tag)
	}
}
