package unlink

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// A worker is one goroutine of a removal: a depth-first search with a stack of
// its own.
type worker struct {
	*removal
	report Report
	list   *[beneath.ListSize]byte
	slots  []slot
	stack  []*frame // from the top down to where it is
}

// worker returns one without work.
func (r *removal) worker() *worker {
	return &worker{removal: r, list: r.lists.Get().(*[beneath.ListSize]byte)}
}

// done hands over what the worker did, when there is no more to do.
func (w *worker) done() {
	w.lists.Put(w.list)
	w.merge(&w.report)
}

// hire starts another worker with something to do, if there may be one more.
func (r *removal) hire(work func(*worker)) bool {
	select {
	case r.spare <- struct{}{}:
	default:
		return false
	}
	other := r.worker()
	r.workers.Go(func() {
		defer func() { <-r.spare }()
		defer other.done()
		work(other)
	})
	return true
}

// below removes a directory and all that is below it, and then whatever is
// found too deep anywhere.
func (w *worker) below(f *frame, name string) {
	if at := w.enter(f, name); at != nil {
		w.push(at)
		w.run()
	}
	w.dig()
}

func (w *worker) push(f *frame) { w.stack = append(w.stack, f) }

// run empties the directories on the stack and all below them.
func (w *worker) run() {
	for len(w.stack) > 0 {
		f := w.stack[len(w.stack)-1]
		switch n := len(f.names); {
		case w.stopped() || n == 0 && f.ended:
			w.stack = w.stack[:len(w.stack)-1]
			w.leave(f)
		case n > 0:
			name := f.names[n-1]
			f.names = f.names[:n-1]
			w.down(f, name, n > 1 || !f.ended)
		default:
			w.read(f)
		}
	}
}

// down goes on with a directory in f, unless another worker takes it while
// there is more to do in f.
func (w *worker) down(f *frame, name string, more bool) {
	if f.depth == maxDepth {
		if !f.search {
			w.hoist(f, name)
		}
		return
	}
	below := w.enter(f, name)
	if below == nil {
		return
	}
	if more && w.hire(func(other *worker) {
		other.push(below)
		other.run()
		other.dig()
	}) {
		return
	}
	w.push(below)
}

// A slot is an entry in a list, by where its name begins.
type slot struct {
	inode uint64
	name  int
}

// read unlinks the next part of a directory, and notes the directories in it.
func (w *worker) read(f *frame) {
	list, err := beneath.List(f.fd, w.list[:])
	if err != nil && err != unix.ENOENT { // ENOENT: it was removed
		w.keep(f.parent, f.name, err)
		f.kept.Store(true)
	}
	if f.ended = len(list) == 0; f.ended {
		return
	}
	w.slots = w.sort(f, list, 0, w.slots[:0])
	if f.search {
		return
	}
	if len(list) > len(w.list)/2 && 2*len(w.slots) > len(f.names) && w.large(f, list) {
		return
	}
	order(w.slots)
	for _, s := range w.slots {
		if w.stopped() {
			return
		}
		w.file(f, cut(list[s.name:]))
	}
}

// sort takes a list apart: the directories are noted in f, the rest in slots,
// with the list beginning at offset base of what the slots' names count from.
func (w *worker) sort(f *frame, list []byte, base int, slots []slot) []slot {
	whole := cap(list)
	for {
		e, rest, ok := beneath.Next(list)
		if !ok {
			return slots
		}
		list = rest
		if w.isDir(f, &e) {
			f.names = append(f.names, string(e.Name))
			continue
		}
		slots = append(slots, slot{inode: e.Inode, name: base + whole - cap(e.Name)})
	}
}

// isDir reports whether an entry is a directory.
func (w *worker) isDir(f *frame, e *beneath.Entry) bool {
	if e.Type != unix.DT_UNKNOWN {
		return e.Type == unix.DT_DIR
	}
	var st beneath.Stat
	return w.calls.Lstat(f.fd, &e.Name[0], &st) == nil && st.Type() == unix.S_IFDIR
}

// order sorts entries as their inodes lie on the disk.
func order(slots []slot) {
	slices.SortFunc(slots, func(a, b slot) int { return cmp.Compare(a.inode, b.inode) })
}

// cut returns the name at the beginning of what is left of a list.
func cut(list []byte) []byte { return list[:slices.Index(list, 0)] }
