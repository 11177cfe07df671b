package usage

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/btrfs"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// window is how many directories of its stack a goroutine holds open. Those
// above are found again by their "..", one step for each step that the walk
// goes up: a path is never resolved twice, and may be longer than the kernel
// takes.
const window = 32

// A frame is an open directory between the walked name and where the walk is.
type frame struct {
	fd      int // no longer valid in the frames that are shut
	at      *place
	device  uint64 // st_dev
	inode   uint64
	counted bool     // what is in it takes the bytes that its subvolume's quota group says
	below   []string // directories that were met and not yet entered
	ended   bool     // it was read to its end
}

var (
	errOther = errors.New("is a subvolume or on another file system, and which cannot be told")
	errMoved = errors.New("was moved or removed while it was being read")
)

// enter opens the directory name of f and counts it. It is false where there
// is nothing to read.
func (w *worker) enter(f *frame, name string) (frame, bool) {
	var st beneath.Stat
	fd, err := w.calls.DirOn(f.fd, name, w.mount, &st)
	switch {
	case err == nil && (st.Device == f.device || w.sameMount(&st)):
		below := frame{fd: fd, at: &place{parent: f.at, name: name}, device: st.Device, inode: st.Inode, counted: f.counted}
		if st.Inode == btrfs.Top {
			w.subvolume(&below)
		}
		if st.Inode == btrfs.Stub && btrfs.IsStub(fd) {
			st.Change = time.Time{}
		}
		w.directory(f, name, &st)
		return below, true
	case err == nil:
		unix.Close(fd) // nothing was written through it
		w.problem(f.at, name, errOther)
	case err == unix.EXDEV:
		w.problem(f.at, name, errMount)
	case err != unix.ENOENT: // ENOENT: it was removed
		w.problem(f.at, name, err)
		if w.lstat(f.fd, name, &st) == nil && !w.foreign(f, &st) {
			w.directory(f, name, &st)
		}
	}
	return frame{}, false
}

// sameMount reports whether a directory that was opened is sure to be on the
// walk's mount: then another device is a subvolume's.
func (w *worker) sameMount(st *beneath.Stat) bool {
	return w.calls.Openat2 || st.Mount != 0 && st.Mount == w.mount
}

// subvolume counts what the subvolume, if f is the top of one, has that no
// other has. If that is not known its files are counted as if all were its own.
func (w *worker) subvolume(f *frame) {
	s, ok, err := btrfs.Of(f.fd)
	if err == nil && !ok {
		return
	}
	w.asked.Do(func() { w.quota = btrfs.QuotaOf(f.fd) })
	var bytes int64
	if bytes, f.counted = w.quota.Exclusive(f.fd, s); f.counted {
		w.sum.bytes += bytes
	} else {
		w.sum.shared = true
	}
}

// push makes an open directory the next to read, and shuts the uppermost open
// one if there are too many. What is shut must be read to its end before: a
// position in a directory does not outlive its descriptor.
func (w *worker) push(f frame) {
	w.stack = append(w.stack, f)
	if len(w.stack)-w.shut <= window {
		return
	}
	upper := &w.stack[w.shut]
	for !upper.ended && w.ctx.Err() == nil {
		w.read(upper)
	}
	unix.Close(upper.fd) // nothing was written through it
	w.shut++
}

// leave goes back to the directory above.
func (w *worker) leave() {
	last := len(w.stack) - 1
	f := w.stack[last]
	w.stack = w.stack[:last]
	if last > 0 && last == w.shut {
		w.climb(&f)
	}
	unix.Close(f.fd) // nothing was written through it
}

// climb opens the lowest frame that is shut, by the ".." of the directory that
// was read below it. Whatever was moved meanwhile: only the very directory that
// was open before will do. Without it, the rest of the stack is lost.
func (w *worker) climb(from *frame) {
	f := &w.stack[w.shut-1]
	var st beneath.Stat
	fd, err := w.calls.Parent(from.fd, &st)
	if err == nil && (st.Inode != f.inode || st.Device != f.device || w.foreign(f, &st)) {
		unix.Close(fd) // nothing was written through it
		err = errMoved
	}
	if err != nil {
		w.problem(from.at.parent, from.at.name, err)
		w.stack, w.shut = nil, 0
		return
	}
	f.fd = fd
	w.shut--
}
