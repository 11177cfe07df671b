//go:build linux

package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
)

// An Import is a docker import that is under way and gets its archive by and
// by. Its layer and its write-set are on disk, and nothing names them yet.
type Import struct {
	Layer    string // below the data root
	WriteSet string

	in   *os.File
	tar  *tar.Writer
	rest int
	cmd  *exec.Cmd
	out  bytes.Buffer
}

// BeginImport starts an import of an image that runs, and feeds half of it:
// size bytes are to come in all, besides the base.
func (d *Daemon) BeginImport(t TB, name string, size int) *Import {
	t.Helper()
	i := &Import{rest: size}
	layers, sets := d.Layers(), d.List(d.ImageDir()+"/layerdb/tmp")
	i.start(t, d, name)
	for _, f := range d.Base(t) {
		i.write(t, f.header(), f.Data)
	}
	i.write(t, &tar.Header{Name: "big", Mode: 0o644, Size: int64(size)}, strings.Repeat("x", size/2))
	i.rest -= size / 2
	Eventually(t, "a layer and a write-set of the import", func() bool {
		newLayers, newSets := since(layers, d.Layers()), since(sets, d.List(d.ImageDir()+"/layerdb/tmp"))
		if len(newLayers) != 1 || len(newSets) != 1 || !d.Has(newSets[0]+"/tar-split.json.gz") {
			return false
		}
		i.Layer, i.WriteSet = newLayers[0], newSets[0]
		return true
	})
	return i
}

func (i *Import) start(t TB, d *Daemon, name string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		cancel()
		w.Close()
	})
	i.in, i.tar = w, tar.NewWriter(w)
	i.cmd = d.Command(ctx, "import", "-", name)
	i.cmd.Stdin, i.cmd.Stdout, i.cmd.Stderr = r, &i.out, &i.out
	err = i.cmd.Start()
	r.Close()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func (i *Import) write(t TB, h *tar.Header, data string) {
	t.Helper()
	if err := i.tar.WriteHeader(h); err != nil {
		t.Fatalf("import: %v: %s", err, i.out.String())
	}
	if _, err := io.WriteString(i.tar, data); err != nil {
		t.Fatalf("import: %v: %s", err, i.out.String())
	}
}

// Finish feeds the rest and returns the image's id.
func (i *Import) Finish(t TB) string {
	t.Helper()
	if _, err := io.WriteString(i.tar, strings.Repeat("y", i.rest)); err != nil {
		t.Fatalf("import: %v", err)
	}
	if err := i.tar.Close(); err != nil {
		t.Fatalf("import: %v", err)
	}
	i.in.Close()
	if err := i.cmd.Wait(); err != nil {
		t.Fatalf("import: %v: %s", err, i.out.String())
	}
	return strings.TrimSpace(i.out.String())
}

// cut ends the client of an import whose daemon is gone. By itself it would
// go on waiting for the rest.
func (i *Import) cut(t TB) {
	t.Helper()
	i.in.Close()
	if err := i.cmd.Wait(); err == nil {
		t.Fatalf("import: was done before the kill")
	}
}
