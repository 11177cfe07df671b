//go:build e2e && linux

package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/layerdb"
	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// Images of a storage driver that the daemon does not use any more are loaded
// into the one that it uses: they have the same ids, save as the same bytes and
// run on the same files. So does what a vanished container wrote.
func TestExport(t *testing.T) { at(t, everywhere, "switched", exportSwitched) }

func exportSwitched(t *testing.T, h *host) {
	old, next := h.Driver, "vfs"
	if old == "vfs" {
		next = "overlay2"
	}
	h.Build(t, "rich:1", "FROM app:1\nCOPY d /d\nRUN rm /a && busybox ln /d/x /d/hard && busybox ln -s x /d/sym && busybox mkfifo /d/fifo && busybox chown 1:2 /d/x && rm -r /d/gone && "+
		"busybox truncate -s 2000000 /d/sparse && echo odd >\"/d/$(printf 'odd\\001\\377')\"\nRUN rm -r /d/sub && mkdir /d/sub && echo new >/d/sub/new\n",
		engine.File{Name: "d/x", Data: "x"}, engine.File{Name: "d/gone/y", Data: "y"}, engine.File{Name: "d/sub/old", Data: "z"})
	// As other builders make layers: below a directory that is a link in a lower
	// layer, and in the same one.
	h.Load(t, engine.Archive("links:1", engine.Tar(h.Base(t, engine.File{Name: "sbin", Link: "bin"}, engine.File{Name: "sbin/tool", Data: "t"})...),
		engine.Tar(engine.File{Name: "sbin/other", Data: "o"})))
	lost := h.Down(t, "rich:1", "sh", "-c", "rm /d/x; rm -r /d/sub; mkdir /d/sub; echo w >/d/sub/w; echo written >/written")
	seen := view(t, h, lost)
	was := engine.Snapshot(t, h.Daemon)
	names := []string{"base:1", "app:1", "bk:1", "rich:1", "links:1"}
	ids := []string{h.dangling}
	for _, name := range names {
		ids = append(ids, h.Docker(t, "image", "inspect", "--format", "{{.Id}}", name))
	}
	chains := layerdb.ChainIDs(h.Lines(t, "image", "inspect", "--format", "{{join .RootFS.Layers \"\\n\"}}", "app:1"))
	_, layer := h.Registered(t, chains[len(chains)-1])
	file := h.Path(h.Content(layer) + "/a")
	h.Stop(t)
	h.Lose(t, "containers/"+lost)
	tree := stamps(t, h.Root)
	archive := filepath.Join(h.Dir, "archive.tar")
	all := append([]string{"--backend", old, h.dangling, lost[:12]}, names...)
	h.offline(t, 0, append([]string{"export", "-o", archive}, all...)...)
	assert.DeepEqual(t, stamps(t, h.Root), tree)

	h.Driver = next
	h.Start(t)
	h.Docker(t, "load", "--input", archive)
	now := engine.Snapshot(t, h.Daemon)
	for i, id := range ids {
		before, after := was.Images[id], now.Images[id]
		if i == len(ids)-1 { // what a container sees of it is another thing on overlay2 than on vfs
			before, _, _ = strings.Cut(before, ", runs on")
			after, _, _ = strings.Cut(after, ", runs on")
		}
		assert.Equal(t, after, before)
	}
	made := h.Create(t, "orphans/exported:"+lost[:12], "true")
	assert.DeepEqual(t, view(t, h, made), seen)

	// While the daemon runs with another driver, and to standard output.
	images := append([]string{"export", "--backend", old, h.dangling}, names...)
	h.command(t, 0, append(slices.Clone(images), "-o", archive)...)
	data, err := os.ReadFile(archive)
	assert.NilError(t, err)
	h.Stop(t)
	assert.Assert(t, h.offline(t, 0, images...).Stdout == string(data))
	h.Start(t)

	// A layer that is not what it was is refused.
	assert.NilError(t, errors.Join(os.Remove(archive), os.WriteFile(file, []byte("b"), 0o600)))
	out := h.command(t, 1, append(slices.Clone(images), "-o", archive)...)
	assert.Assert(t, strings.Contains(out.Stderr, "/a: is not what it was when the layer was registered"), out.Stderr)
	left, err := filepath.Glob(filepath.Join(h.Dir, "*archive.tar*")) // .archive.tar.1234 too
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, "%v", left)
}

// Nor does it matter that the daemon keeps its images in containerd now: what
// it had before goes there.
func TestExportToContainerd(t *testing.T) { at(t, newest, "switched", exportToContainerd) }

func exportToContainerd(t *testing.T, h *host) {
	old := h.Driver
	made := h.Create(t, "app:1", "true")
	seen := view(t, h, made)
	h.Stop(t)
	assert.NilError(t, os.WriteFile(filepath.Join(h.Dir, "daemon.json"), []byte(`{"features": {"containerd-snapshotter": true}}`), 0o600))
	h.Driver = "overlayfs"
	h.Start(t)
	assert.Equal(t, len(h.Lines(t, "images", "-q")), 0)

	archive := filepath.Join(h.Dir, "archive.tar")
	h.command(t, 0, "export", "--backend", old, "-o", archive, "base:1", "app:1", "bk:1")
	h.Docker(t, "load", "--input", archive)
	assert.Equal(t, len(h.Lines(t, "images", "-q")), 3)
	assert.DeepEqual(t, view(t, h, h.Create(t, "app:1", "true")), seen)
}
