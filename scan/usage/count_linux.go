package usage

import (
	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// file counts an entry that is not a directory, unless it has further names:
// those are counted once all are met.
func (w *worker) file(at *place, name []byte, st *beneath.Stat) {
	if w.foreign(st) {
		w.problem(at, string(name), errMount)
		return
	}
	if st.Links <= 1 {
		w.count(st)
	} else if first := w.link(st); !first {
		return
	}
	if by := w.watch[key(st)]; by != "" {
		w.opened(at, string(name), by)
	}
}

// link notes one of the names of an inode that has several, and reports whether
// it is the first.
func (w *worker) link(st *beneath.Stat) (first bool) {
	w.changed(st)
	w.mu.Lock()
	defer w.mu.Unlock()
	file := w.linked[key(st)]
	first = file.Names == 0
	file.FileKey, file.Links, file.Bytes = key(st), int64(st.Links), st.Blocks*512
	file.Names++
	w.linked[key(st)] = file
	return first
}

// directory counts a directory.
func (w *worker) directory(at *place, name string, st *beneath.Stat) {
	w.count(st)
	if by := w.watch[key(st)]; by != "" {
		w.opened(at, name, by)
	}
}

// count adds an inode.
func (w *worker) count(st *beneath.Stat) {
	w.sum.bytes += st.Blocks * 512
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

// foreign reports whether a file is on another mount; where mount ids are not
// known, on another device.
func (w *worker) foreign(st *beneath.Stat) bool {
	if st.Mount != 0 && w.mount != 0 {
		return st.Mount != w.mount
	}
	return st.Device != w.device
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
