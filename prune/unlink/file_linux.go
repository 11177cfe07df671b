package unlink

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// file unlinks an entry that is no directory. A NUL follows the name.
func (w *worker) file(f *frame, name []byte) {
	bytes, err := w.counted(f, &name[0])
	switch err {
	case nil:
		w.report.Files++
		w.report.Bytes += bytes
	case unix.ENOENT: // it was removed
	case unix.EISDIR: // it was swapped, and the next pass sees what for
		if f.fixed {
			w.keep(f, string(name), err)
		}
	default:
		w.keep(f, string(name), err)
	}
}

// counted unlinks an entry and returns the bytes that its inode took, if this
// was its last name.
func (w *worker) counted(f *frame, name *byte) (int64, error) {
	if w.Uncounted {
		return 0, w.remove(f, name, 0)
	}
	var st beneath.Stat
	if w.calls.Lstat(f.fd, name, &st) == nil && st.Links > 1 {
		// Two names that go at the same time must not both be the last but one.
		w.linked.Lock()
		defer w.linked.Unlock()
		st = beneath.Stat{}
		_ = w.calls.Lstat(f.fd, name, &st) // if it is gone, unlinking says so
	}
	err := w.remove(f, name, 0)
	if err != nil || st.Links > 1 {
		return 0, err
	}
	return st.Blocks * 512, nil
}

// remove unlinks an entry of f, once more if flags forbade it and no longer do.
func (w *worker) remove(f *frame, name *byte, flags int) error {
	err := unlinkat(f.fd, name, flags)
	if err == unix.EPERM && w.ClearFlags {
		if err := w.clear(f, unix.BytePtrToString(name)); err != nil {
			return err
		}
		return unlinkat(f.fd, name, flags)
	}
	return err
}

// unlinkat is unix.Unlinkat for a name that is bytes already.
func unlinkat(dir int, name *byte, flags int) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_UNLINKAT, uintptr(dir), uintptr(unsafe.Pointer(name)), uintptr(flags))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return errno
	}
}
