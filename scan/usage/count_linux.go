package usage

import (
	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// file counts an entry of f that is not a directory, unless it has further
// names: those are counted once all are met.
func (w *worker) file(f *frame, name []byte, st *beneath.Stat) {
	if w.foreign(f, st) {
		w.problem(f.at, string(name), errMount)
		return
	}
	if w.extents != nil {
		if st.Links <= 1 || w.link(f, st) {
			w.shared(f, name, st)
		}
		return
	}
	if st.Links <= 1 {
		w.count(f, st)
	} else if first := w.link(f, st); !first {
		return
	}
	if by := w.watch[key(st)]; by != "" {
		w.opened(f.at, string(name), by)
	}
}

// link notes one of the names of an inode in f that has several, and reports
// whether it is the first.
func (w *worker) link(f *frame, st *beneath.Stat) (first bool) {
	w.changed(st)
	w.mu.Lock()
	defer w.mu.Unlock()
	file := w.linked[key(st)]
	first = file.Names == 0
	file.FileKey, file.Links = key(st), int64(st.Links)
	if !f.counted {
		file.Bytes = st.Blocks * 512
	}
	file.Names++
	w.linked[key(st)] = file
	return first
}

// directory counts a directory in f.
func (w *worker) directory(f *frame, name string, st *beneath.Stat) {
	w.count(f, st)
	if by := w.watch[key(st)]; by != "" {
		w.opened(f.at, name, by)
	}
}

// count adds an inode of what f is in.
func (w *worker) count(f *frame, st *beneath.Stat) {
	if !f.counted {
		w.sum.bytes += st.Blocks * 512
	}
	w.sum.inodes++
	w.changed(st)
}

func (w *worker) changed(st *beneath.Stat) {
	if st.Change.After(w.sum.newest) {
		w.sum.newest = st.Change
	}
}

func key(st *beneath.Stat) scan.FileKey {
	return scan.FileKey{Device: st.Device, Inode: st.Inode}
}

// foreign reports whether a file in f is on another mount; where mount ids are
// not known, on another device.
func (w *worker) foreign(f *frame, st *beneath.Stat) bool {
	if st.Mount != 0 && w.mount != 0 {
		return st.Mount != w.mount
	}
	return st.Device != f.device
}

// lstat describes an entry by a name of one element.
func (w *worker) lstat(dir int, name string, st *beneath.Stat) error {
	return w.calls.Lstat(dir, &append([]byte(name), 0)[0], st)
}

// problem says that an entry could not be read.
func (w *worker) problem(at *place, name string, err error) {
	if err == unix.ELOOP {
		err = scan.ErrSymlink // no link is ever followed
	}
	w.sum.problem(w.path(at, name), err)
}

// opened says that a process has an entry open.
func (w *worker) opened(at *place, name, by string) {
	w.sum.opened.put(remark{path: w.path(at, name), text: by})
}

// tell notes a telling name.
func (w *worker) tell(at *place, name string) {
	if path := w.path(at, name); !fromPackage(w.top, path) {
		w.sum.tell(path)
	}
}

// path is an entry's path below the root; at is nil for the walked name.
func (w *worker) path(at *place, name string) string {
	if at == nil {
		return w.top
	}
	return at.path(w.top, name)
}
