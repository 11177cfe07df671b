package unlink

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// keeping are the flags that keep an inode and its names as they are:
// FS_IMMUTABLE_FL and FS_APPEND_FL (linux/fs.h).
const keeping = 0x10 | 0x20

// clear takes the flags off a directory of the tree and an entry of it. Never
// off an inode with another name (rule 9), nor off the directory that the tree
// lies in, which is not ours.
func (w *worker) clear(f *frame, name string) error {
	if !f.fixed {
		if err := unflag(f.fd); err != nil {
			return err
		}
	}
	var st beneath.Stat
	fd, err := w.calls.PathOn(f.fd, name, w.mount, &st)
	switch {
	case err == unix.EXDEV:
		return ErrMount
	case err != nil:
		return err
	}
	defer unix.Close(fd) // it only led to the file
	switch {
	case !w.known(&st):
		return ErrUnsafe
	case st.Type() != unix.S_IFDIR && st.Type() != unix.S_IFREG:
		return nil // has no flags, and opening it may call a driver
	case st.Type() == unix.S_IFREG && st.Links != 1:
		return ErrLinks
	}
	// By way of the descriptor: a name might lead elsewhere by now.
	fd, err = unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) // nothing was written through it
	return unflag(fd)
}

// unflag takes the flags off an open file.
func unflag(fd int) error {
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err != nil || flags&keeping == 0 {
		return nil // none, or none on this file system: it is not the flags
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags&^keeping))
}
