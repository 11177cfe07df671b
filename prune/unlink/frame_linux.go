package unlink

import (
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/btrfs"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

const (
	// maxDepth is how deep below the tree's directory a directory is entered
	// where it is: each level takes a descriptor.
	maxDepth = 64

	// maxPasses is how often a directory is read that is found not to be empty:
	// others may put something into it, and some file systems do not tell all
	// entries to one who removes them meanwhile.
	maxPasses = 8
)

// A frame is a directory that is being emptied. It is one worker's until it was
// read to its end; then it belongs to whoever finishes the last directory in it.
type frame struct {
	parent *frame
	fixed  bool // it is not to be removed, nor read: what it is called and where does not count
	top    bool // of a subvolume
	search bool // only the subvolumes in it go one by one: the rest goes with the one that it is in
	name   string
	fd     int
	depth  int
	blocks int64
	names  []string // directories that were met and not yet entered
	ended  bool     // it was read to its end
	passes int
	open   atomic.Int32 // 1 while it is read, and 1 for each directory in it that is
	kept   atomic.Bool  // something in it stays
}

// path is an entry's path from the tree's name on.
func (f *frame) path(name string) string {
	elements := make([]string, f.depth+1)
	elements[f.depth] = name
	for at := f; at.depth > 0; at = at.parent {
		elements[at.depth-1] = at.name
	}
	return strings.Join(elements, "/")
}

// enter opens the directory that the name is in f. It is nil where there is
// nothing to do or where the directory stays.
func (w *worker) enter(f *frame, name string) *frame {
	var st beneath.Stat
	fd, err := w.calls.DirOn(f.fd, name, w.mount, &st)
	switch err {
	case nil:
	case unix.EXDEV:
		w.keep(f, name, ErrMount)
		return nil
	case unix.ENOENT: // it was removed
		return nil
	case unix.ENOTDIR, unix.ELOOP: // it was swapped, and the next pass sees what for
		if f.fixed {
			w.keep(f, name, err)
		}
		return nil
	default:
		w.keep(f, name, err)
		return nil
	}
	if !w.known(&st) {
		unix.Close(fd) // nothing was written through it
		w.keep(f, name, ErrUnsafe)
		return nil
	}
	below := &frame{parent: f, search: f.search, name: name, fd: fd, depth: f.depth + 1, blocks: st.Blocks}
	if st.Inode == btrfs.Top {
		switch w.subvolume(below) {
		case gone, stays:
			unix.Close(fd) // nothing was written through it
			return nil
		case searched:
			below.search = true
		case emptied:
			below.search = false
		}
	}
	below.open.Store(1)
	f.open.Add(1)
	return below
}

// keep says that an entry stays.
func (w *worker) keep(f *frame, name string, err error) {
	f.kept.Store(true)
	w.report.left(Problem{Path: f.path(name), Err: err})
}

// leave is called when a directory was read to its end. Whoever leaves it last
// removes it, and so on upwards.
func (w *worker) leave(f *frame) {
	for f.open.Add(-1) == 0 {
		if w.again(f) {
			f.open.Store(1)
			w.push(f)
			return
		}
		f = f.parent
	}
}

// again removes an emptied directory; it is true if the directory is to be read
// once more.
func (w *worker) again(f *frame) bool {
	again := false
	switch {
	case f.kept.Load(), w.stopped():
		f.parent.kept.Store(true)
	case f.search && f.top:
		again = w.subvolume(f) == searched && w.more(f, ErrNested)
	case f.search: // it goes with its subvolume
	default:
		switch err := w.remove(f.parent, &append([]byte(f.name), 0)[0], unix.AT_REMOVEDIR); err {
		case nil:
			w.report.Dirs++
			w.report.Bytes += f.blocks * 512
		case unix.ENOENT: // it was removed
		case unix.ENOTEMPTY, unix.EEXIST:
			again = w.more(f, ErrGrows)
		default:
			w.keep(f.parent, f.name, err)
		}
	}
	if !again {
		unix.Close(f.fd) // nothing was written through it
	}
	return again
}

// more goes back to the beginning of a directory that is not empty, unless that
// was done often enough: then the error is why it stays.
func (w *worker) more(f *frame, err error) bool {
	if f.passes++; f.passes < maxPasses && w.rewind(f) {
		return true
	}
	w.keep(f.parent, f.name, err)
	return false
}

func (w *worker) rewind(f *frame) bool {
	_, err := unix.Seek(f.fd, 0, unix.SEEK_SET)
	f.ended = false
	return err == nil
}
