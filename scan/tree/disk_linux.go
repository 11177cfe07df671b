package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
	"github.com/docker-orphans/docker-orphans/scan/usage"
)

var _ scan.Tree = (*Disk)(nil)

// A Disk is a data root, held by a descriptor: a rename or a mount over its
// path changes nothing for it. Its methods may be called at the same time, but
// not while or after [Disk.Close] runs.
type Disk struct {
	root   int // O_PATH
	path   string
	calls  beneath.Calls
	walker *usage.Walker
	lists  sync.Pool // *[]byte, for ReadDir
	dirs   openDirs
}

// Open opens the data root. The path to it may contain symbolic links, its
// last element too: people move /var/lib/docker to a bigger disk that way. The
// caller closes it.
func Open(dir string) (*Disk, error) {
	path, err := filepath.Abs(dir)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	var missing *fs.PathError
	if errors.As(err, &missing) {
		return nil, fail(missing.Path, missing.Err) // what a link points to, if that is what is missing
	}
	if err != nil {
		return nil, fail(dir, err)
	}
	root, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fail(path, err)
	}
	return disk(root, path, beneath.Probe(root)), nil
}

func disk(root int, path string, calls beneath.Calls) *Disk {
	return &Disk{
		root:   root,
		path:   path,
		calls:  calls,
		walker: usage.New(calls, runtime.GOMAXPROCS(0)),
		lists:  sync.Pool{New: func() any { return new([beneath.ListSize]byte) }},
	}
}

// Path is the data root's absolute path without symbolic links.
func (d *Disk) Path() string { return d.path }

// Close releases the data root.
func (d *Disk) Close() error {
	d.dirs.close()
	if err := unix.Close(d.root); err != nil {
		return fail(d.path, err)
	}
	return nil
}

// Walk implements [scan.Tree]. Calls of Walk at the same time share the
// processors; see [usage.Walker].
func (d *Disk) Walk(ctx context.Context, watch scan.Watch, names ...string) (scan.Usage, error) {
	return d.walker.Walk(ctx, d.root, watch, names...)
}

// Extents lists what files at and below the names may share with others; see
// [usage.Walker].
func (d *Disk) Extents(ctx context.Context, names ...string) (list []usage.Extent, complete bool, err error) {
	return d.walker.Extents(ctx, d.root, names...)
}

// fail puts the name in front of what the kernel says.
func fail(name string, err error) error {
	if err == unix.ELOOP {
		err = scan.ErrSymlink // the only way to get it: no link is ever followed
	}
	return fmt.Errorf("%s: %w", beneath.Shown(name), err)
}
