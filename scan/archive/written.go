package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A Root is a data root to read from.
type Root struct {
	Tree scan.Tree
	Dir  string // absolute
	// Place is where the directory of a name is, if not where its name says;
	// nil: all are where their names say.
	Place func(name string) string
}

// open opens a directory. The caller closes it.
func (r Root) open(name string) (*source, error) {
	if r.Place != nil {
		name = r.Place(name)
	}
	return openSource(r.Dir, name)
}

// A form is how a storage driver keeps what a container wrote.
type form struct {
	dir   string // where, in the layer's directory
	whole bool   // all that the container saw, not only what it wrote
	// whiteouts are removals as the driver writes them.
	devices bool // character devices 0:0
	names   bool // files ".wh.<name>", ".wh..wh..opq"
	own     bool // names in the topmost directory are the driver's own: ".wh..wh.aufs", ".wh..wh.plnk"
	// marks says what the driver writes into extended attributes.
	marks func(name string) (attribute, error)
}

// forms are those of the drivers whose written layers can be read.
var forms = map[string]form{
	"aufs":           {names: true, own: true},
	"overlay":        {dir: "upper", devices: true, marks: overlayOwn},
	"overlay2":       {dir: "diff", devices: true, marks: overlayOwn},
	"fuse-overlayfs": {dir: "diff", devices: true, names: true, marks: fuseOwn},
	"vfs":            {whole: true},
	"btrfs":          {whole: true},
}

// Whole reports whether a storage driver keeps, of a container, all that it
// saw, and not only what it wrote.
func Whole(driver string) bool { return forms[driver].whole }

// errChanged is the error of content that is not what it was a moment ago.
var errChanged = errors.New("changed while it was read: something still writes to it")

// A Written is a written layer, to be read as a tar archive of what it changes.
// It needs as much memory as the names of the largest directory, and a name for
// each file with several links.
type Written struct {
	*source
	owners owners
	form   form
	name   string // below the data root, for errors

	size    int64
	diff    string
	leftOut []string
}

// OpenWritten opens the written layer of a driver that has this directory, and
// reads it once. The caller closes it.
func OpenWritten(ctx context.Context, root Root, layer, driver string) (*Written, error) {
	form, ok := forms[driver]
	if !ok {
		return nil, fmt.Errorf("%s: a writable layer of %s cannot be read: its files are in no directory", layer, driver)
	}
	w, err := openWritten(root, path.Join(layer, form.dir), form)
	if err != nil {
		return nil, err
	}
	if w.diff, w.size, w.leftOut, err = w.read(ctx, io.Discard); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func openWritten(root Root, name string, form form) (*Written, error) {
	owners, err := ownersOf(root.Dir)
	if err != nil {
		return nil, err
	}
	s, err := root.open(name)
	if err != nil {
		return nil, err
	}
	return &Written{source: s, owners: owners, form: form, name: name}, nil
}

// Diff is the digest of the archive: "sha256:<hex>".
func (w *Written) Diff() string { return w.diff }

// Size is the archive's, in bytes.
func (w *Written) Size() int64 { return w.size }

// LeftOut are files that no image can hold, with why.
func (w *Written) LeftOut() []string { return w.leftOut }

// Write reads the layer again and writes its archive. It fails if it is not
// what it was when it was opened.
func (w *Written) Write(ctx context.Context, to io.Writer) error {
	diff, _, _, err := w.read(ctx, to)
	if err == nil && diff != w.diff {
		err = fmt.Errorf("%s: %w", w.name, errChanged)
	}
	return err
}

// Close releases the layer.
func (w *Written) Close() { w.close() }

func (w *Written) read(ctx context.Context, to io.Writer) (diff string, size int64, leftOut []string, err error) {
	sum := newSummed(to)
	leftOut, err = w.archive(ctx, sum)
	return sum.diff(), sum.size, leftOut, err
}

// summed passes on what is written, and counts and digests it.
type summed struct {
	to   io.Writer
	hash hash.Hash
	size int64
}

func newSummed(to io.Writer) *summed { return &summed{to: to, hash: sha256.New()} }

func (s *summed) diff() string { return fmt.Sprintf("sha256:%x", s.hash.Sum(nil)) }

func (s *summed) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.size += int64(n)
	s.hash.Write(p[:n]) // never fails
	return n, err
}
