package usage

import (
	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// A territory is what a walk of one name stays in.
type territory struct {
	top   string // the name
	mount uint64 // 0: not known
}

// A worker is one goroutine of a walk: a depth-first search with a stack of
// its own.
type worker struct {
	*walk
	territory
	sum   sum
	list  *[beneath.ListSize]byte
	stack []frame // from the top down to where it is
	shut  int     // so many of the upper frames have no descriptor
}

// worker returns one without work.
func (k *walk) worker(t territory) *worker {
	return &worker{walk: k, territory: t, list: k.lists.Get().(*[beneath.ListSize]byte)}
}

// done hands over what the worker found.
func (w *worker) done() {
	w.lists.Put(w.list)
	w.merge(&w.sum)
}

// run reads the directories on the stack and all below them.
func (w *worker) run() {
	for len(w.stack) > 0 && w.ctx.Err() == nil {
		f := &w.stack[len(w.stack)-1]
		switch n := len(f.below); {
		case n > 0:
			name := f.below[n-1]
			f.below = f.below[:n-1]
			below, ok := w.enter(f, name)
			if ok && (n == 1 || !w.share(below)) {
				w.push(below)
			}
		case !f.ended:
			w.read(f)
		default:
			w.leave()
		}
	}
	for _, f := range w.stack[w.shut:] {
		unix.Close(f.fd) // nothing was written through it
	}
}

// share gives a directory to another goroutine, if one may be started: the
// worker itself has more to do.
func (w *worker) share(f frame) bool {
	select {
	case w.spare <- struct{}{}:
	default:
		return false
	}
	other := w.worker(w.territory)
	w.workers.Go(func() {
		defer func() { <-w.spare }()
		defer other.done()
		other.push(f)
		other.run()
	})
	return true
}

// read counts the next part of a directory, and notes the directories in it.
func (w *worker) read(f *frame) {
	list, err := beneath.List(f.fd, w.list[:])
	if err != nil && err != unix.ENOENT { // ENOENT: it was removed
		w.problem(f.at.parent, f.at.name, err)
	}
	f.ended = len(list) == 0
	for {
		e, rest, ok := beneath.Next(list)
		if !ok {
			return
		}
		list = rest
		if tells(e.Name) {
			w.tell(f.at, string(e.Name))
		}
		if e.Type == unix.DT_DIR {
			f.below = append(f.below, string(e.Name))
			continue
		}
		var st beneath.Stat
		switch err := w.calls.Lstat(f.fd, &e.Name[0], &st); {
		case err == unix.ENOENT: // it was removed
		case err != nil:
			w.problem(f.at, string(e.Name), err)
		case st.Type() == unix.S_IFDIR:
			f.below = append(f.below, string(e.Name))
		default:
			w.file(f, e.Name, &st)
		}
	}
}
