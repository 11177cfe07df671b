package unlink

import (
	"crypto/rand"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// deep is the queue of directories that lay too deep: they are entries, named
// by numbers, of a directory that Remove makes in the trash. It takes no memory.
type deep struct {
	mu    sync.Mutex
	base  *frame // nil until the first one comes
	name  string // the directory's, in the trash
	taken int    // numbers below are being removed, or were
	given int    // the next number
}

// hoist renames a directory in f up to the queue.
func (w *worker) hoist(f *frame, name string) {
	if w.Trash == nil {
		w.keep(f, name, ErrDeep)
		return
	}
	switch err := w.queue(f.fd, name); err {
	case nil:
		// Whoever can takes it; at the latest this worker.
		w.hire((*worker).dig)
	case unix.ENOENT: // it was removed
	default:
		w.keep(f, name, err)
	}
}

// queue renames a directory to the next number.
func (r *removal) queue(dir int, name string) error {
	d := &r.deep
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.base == nil {
		if err := r.open(); err != nil {
			return err
		}
	}
	// Nobody else makes names there, so this replaces nothing.
	err := unix.Renameat(dir, name, d.base.fd, strconv.Itoa(d.given))
	if err == nil {
		d.given++
	}
	return err
}

// open makes the directory that the queue is.
func (r *removal) open() error {
	trash := int(r.Trash.Fd())
	name := "deep-" + rand.Text()
	if err := unix.Mkdirat(trash, name, 0o700); err != nil {
		return err
	}
	var st beneath.Stat
	fd, err := r.calls.DirOn(trash, name, r.mount, &st)
	if err != nil {
		return err
	}
	r.deep.name = name
	r.deep.base = &frame{parent: &frame{}, fixed: true, name: name, fd: fd, depth: 1}
	r.deep.base.open.Store(1)
	return nil
}

// dig removes what is in the queue until it is empty.
func (w *worker) dig() {
	for !w.stopped() {
		base, name, ok := w.deep.next()
		if !ok {
			return
		}
		if f := w.enter(base, name); f != nil {
			w.push(f)
			w.run()
		}
	}
}

// next takes the next directory from the queue.
func (d *deep) next() (base *frame, name string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.taken == d.given {
		return nil, "", false
	}
	d.taken++
	return d.base, strconv.Itoa(d.taken - 1), true
}

// bury removes the directory that the queue was.
func (r *removal) bury() {
	if r.deep.base == nil {
		return
	}
	unix.Close(r.deep.base.fd) // nothing was written through it
	if err := unix.Unlinkat(int(r.Trash.Fd()), r.deep.name, unix.AT_REMOVEDIR); err != nil {
		r.report.Deep = r.deep.name // not empty, as there was a problem or a stop
	}
}
