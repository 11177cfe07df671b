//go:build linux

package engine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An Interrupted load is what a kill -9 in a docker load leaves: the first of
// two layers is registered, the second half-written.
type Interrupted struct {
	Chain      string // record of the first layer
	ChainLayer string // the first layer
	Layer      string // the second layer
	WriteSet   string // its record in the making
	Temp       string // the unpacked archive, which the daemon's next start removes
	Archive    []byte // what was loaded: never:2
}

// KillInImport kills the daemon while it takes in an import of size bytes.
func (d *Daemon) KillInImport(t TB, size int) *Import {
	t.Helper()
	i := d.BeginImport(t, "never:1", size)
	d.Kill(t)
	i.cut(t)
	return i
}

// KillInLoad kills the daemon while it extracts the second layer of a load.
// The first holds size bytes.
func (d *Daemon) KillInLoad(t TB, size int) Interrupted {
	t.Helper()
	first := Tar(append(d.Base(t), File{Name: "first", Data: strings.Repeat("1", size)})...)
	archive := Archive("never:2", first, manyFiles(size))
	left := Interrupted{Archive: archive}
	left.Chain = d.Chains() + "/" + strings.TrimPrefix(DiffID(first), "sha256:")
	layers, sets, temps := d.Layers(), d.List(d.ImageDir()+"/layerdb/tmp"), d.List("tmp")

	load := d.Begin(t, bytes.NewReader(archive), "load", "--quiet")
	Eventually(t, "the second layer of the load", func() bool {
		newSets, newLayers := since(sets, d.List(d.ImageDir()+"/layerdb/tmp")), since(layers, d.Layers())
		if len(newSets) != 1 || len(newLayers) != 2 || !d.Has(left.Chain+"/cache-id") {
			return false
		}
		left.WriteSet, layers = newSets[0], newLayers
		return true
	})
	d.Kill(t)
	load.Fail(t)
	_, left.ChainLayer = d.Registered(t, filepath.Base(left.Chain))
	left.Layer = slices.DeleteFunc(layers, func(l string) bool { return l == left.ChainLayer })[0]
	if now := since(temps, d.List("tmp")); len(now) == 1 {
		left.Temp = now[0]
	}
	return left
}

// KillInRemove kills the daemon while it removes a large image, and returns
// the record that is being released and what is left of its layer.
func (d *Daemon) KillInRemove(t TB) (record, layer string) {
	t.Helper()
	content := manyFiles(0)
	d.DockerIn(t, bytes.NewReader(content), "import", "-", "never:3")
	_, layer = d.Registered(t, DiffID(content))

	remove := d.Begin(t, nil, "rmi", "never:3")
	Eventually(t, "the release of the layer", func() bool {
		for _, name := range d.List(d.Chains()) {
			if strings.HasSuffix(name, "-removing") {
				record = name
			}
		}
		return record != ""
	})
	d.Kill(t)
	remove.Fail(t)
	if !d.Has(record) {
		t.Fatalf("rmi: was done before the kill")
	}
	return record, layer
}

// manyFiles is a layer that takes a while to extract and to remove: so many
// files, and size bytes.
func manyFiles(size int) []byte {
	const count = 10000
	files := []File{{Name: "many/"}, {Name: "many/big", Data: strings.Repeat("2", size)}}
	for i := range count {
		files = append(files, File{Name: fmt.Sprintf("many/%d", i), Data: "x"})
	}
	return Tar(files...)
}

// Lose removes a file or a directory below the data root, as a disk or a
// person does. The daemon must be stopped: what it holds in memory is another
// story.
func (d *Daemon) Lose(t TB, name string) {
	t.Helper()
	if d.Running() {
		t.Fatalf("lose %s: dockerd runs", name)
	}
	if !d.Has(name) {
		t.Fatalf("lose %s: it is not there", name)
	}
	if err := os.RemoveAll(d.Path(name)); err != nil {
		t.Fatalf("%v", err)
	}
}
