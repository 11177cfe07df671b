package unlink

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/btrfs"
)

// Requests of linux/btrfs.h.
const (
	snapDestroy    = 0x5000940f // BTRFS_IOC_SNAP_DESTROY
	subvolGetFlags = 0x80089419 // BTRFS_IOC_SUBVOL_GETFLAGS
	subvolSetFlags = 0x4008941a // BTRFS_IOC_SUBVOL_SETFLAGS
	qgroupCreate   = 0x4010942a // BTRFS_IOC_QGROUP_CREATE: removes one, too
)

// readOnly is BTRFS_SUBVOL_RDONLY.
const readOnly = 2

// volArgs is struct btrfs_ioctl_vol_args.
type volArgs struct {
	_    int64
	name [4088]byte
}

// A fate is what becomes of the subvolume that a directory is the top of.
type fate int

const (
	none     fate = iota // there is none
	gone                 // it was destroyed, or is not there any more
	searched             // it has subvolumes in it that must go first
	emptied              // it may not be destroyed, but perhaps emptied and removed as any directory (4.18)
	stays                // it cannot be told, or not be destroyed: a problem
)

// subvolume destroys the subvolume that the frame is the top of, with all that
// is in it at once.
func (w *worker) subvolume(f *frame) fate {
	s, ok, err := btrfs.Of(f.fd)
	if err != nil {
		w.keep(f.parent, f.name, err)
		return stays
	}
	if !ok {
		return none
	}
	f.top = true
	dir := f.parent.fd
	if f.parent.fixed { // it may be open for its path only
		if dir, err = w.calls.Dir(dir, "."); err != nil {
			w.keep(f.parent, f.name, err)
			return stays
		}
		defer unix.Close(dir) // nothing was written through it
	}
	switch err := w.destroy(f.parent, dir, f.name); err {
	case nil:
		w.report.Dirs++
		// A quota's group outlives it. The kernel may be rid of it already, or
		// take care of that itself; and one without a subvolume counts nothing.
		group := struct{ create, id uint64 }{0, s.ID}
		_ = btrfs.Ioctl(dir, qgroupCreate, unsafe.Pointer(&group))
		return gone
	case unix.ENOENT: // it was removed
		return gone
	case unix.ENOTEMPTY:
		return searched
	case unix.EPERM: // it takes CAP_SYS_ADMIN, or a mount that allows it
		return emptied
	default:
		w.keep(f.parent, f.name, err)
		return stays
	}
}

// destroy destroys a subvolume by its name in f, of which dir is a descriptor,
// once more if flags forbade it and no longer do: those of inodes, or of the
// subvolume that it lies in.
func (w *worker) destroy(f *frame, dir int, name string) error {
	var arg volArgs
	copy(arg.name[:len(arg.name)-1], name)
	err := btrfs.Ioctl(dir, snapDestroy, unsafe.Pointer(&arg))
	if !w.ClearFlags {
		return err
	}
	switch err {
	case unix.EPERM:
		err = w.clear(f, name)
	case unix.EROFS:
		err = f.writable()
	default:
		return err
	}
	if err != nil {
		return err
	}
	return btrfs.Ioctl(dir, snapDestroy, unsafe.Pointer(&arg))
}

// writable takes the read-only flag off the subvolume that a frame lies in, if
// that is part of the tree.
func (f *frame) writable() error {
	for f != nil && !f.top {
		f = f.parent
	}
	if f == nil {
		return unix.EROFS
	}
	var flags uint64
	if err := btrfs.Ioctl(f.fd, subvolGetFlags, unsafe.Pointer(&flags)); err != nil {
		return err
	}
	flags &^= readOnly
	return btrfs.Ioctl(f.fd, subvolSetFlags, unsafe.Pointer(&flags))
}
