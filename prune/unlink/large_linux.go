package unlink

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

const (
	// windowSize is how much of a large directory is sorted at once: names are
	// hashed, and inodes in the order of hashes are all over the disk.
	windowSize = 8 << 20

	// batch is how many entries of a window a worker takes at once.
	batch = 64
)

// A window is part of a large directory.
type window struct {
	list  []byte
	slots []slot
}

// large unlinks the next part of a large directory, of which list was already
// read, with as many workers as there are. It is false, and nothing is done, if
// another large directory is being emptied.
func (w *worker) large(f *frame, list []byte) bool {
	var v *window
	select {
	case v = <-w.windows:
		defer func() { w.windows <- v }()
	default:
		return false
	}
	w.fill(f, v, list)
	order(v.slots)
	var next atomic.Int64
	var others sync.WaitGroup
	part := func(w *worker) {
		for {
			end := int(next.Add(batch))
			begin := end - batch
			if begin >= len(v.slots) {
				return
			}
			for _, s := range v.slots[begin:min(end, len(v.slots))] {
				if w.stopped() {
					return
				}
				w.file(f, cut(v.list[s.name:]))
			}
		}
	}
	for range cap(w.spare) {
		others.Add(1)
		if !w.hire(func(w *worker) {
			defer others.Done()
			part(w)
		}) {
			others.Done()
			break
		}
	}
	part(w)
	others.Wait()
	return true
}

// fill reads the window full. It is cut short where directories are many: they
// wait in memory.
func (w *worker) fill(f *frame, v *window, list []byte) {
	n := copy(v.list, list)
	v.slots = append(v.slots[:0], w.slots...)
	for n+beneath.ListSize <= len(v.list) && len(f.names) < 1024 {
		more, err := beneath.List(f.fd, v.list[n:n+beneath.ListSize])
		if err != nil && err != unix.ENOENT { // ENOENT: it was removed
			w.keep(f.parent, f.name, err)
			f.kept.Store(true)
		}
		if f.ended = len(more) == 0; f.ended {
			return
		}
		v.slots = w.sort(f, more, n, v.slots)
		n += len(more)
	}
}
