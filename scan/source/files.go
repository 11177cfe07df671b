package source

import (
	"errors"
	"io/fs"
	"path"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Limits of the files that are read: what the daemon writes is far smaller.
const (
	maxWord   = 4 << 10
	maxConfig = 64 << 20
)

// addDownload adds a temporary file or directory. It belongs to a backend or,
// where that is "", to the daemon.
func addDownload(in *scan.Input, g *scan.Graph, backend, dir string, e scan.Entry, known bool, was string) {
	name := path.Join(dir, e.Name)
	info, err := in.Tree.Stat(name)
	if err != nil && errors.Is(err, fs.ErrNotExist) {
		return // finished since it was listed
	}
	o := scan.Object{
		Node: scan.Node{Kind: scan.KindDownload, Name: name}, Backend: backend,
		Medium: scan.File, Stamp: info.Stamp, Notes: &scan.Notes{Was: was},
	}
	if info.Mode.IsDir() {
		o.Medium = scan.Directory
	}
	switch {
	case err != nil:
		o.Unrecognised = err.Error()
	case !known:
		o.Unrecognised = "the daemon makes no file of such a name here"
	case info.Mode&fs.ModeSymlink != 0:
		o.Unrecognised = "a symbolic link"
	}
	if o.Unrecognised != "" {
		o.Name = path.Join(dir, scan.Printable(e.Name))
		o.Notes = nil
	}
	g.Add(o)
}
