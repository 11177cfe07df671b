package usage

import (
	"context"
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/btrfs"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// extents is what a walk of [Walker.Extents] has found; [walk.mu] guards it.
type extents struct {
	list    []Extent
	shares  map[uint64]bool // by device: whether its files can share blocks without being counted by it
	skipped bool            // some device's files were not asked
}

// Extents lists what files at and below the names, which are relative to root,
// may share with others (FS_IOC_FIEMAP, FIEMAP_EXTENT_SHARED). complete is false
// where not all were asked: some could not be, or are on a file system whose files
// share nothing, or on a btrfs that counts in quota groups what each subvolume
// alone has.
//
// Unlike [Walker.Walk] it opens files: only those that were seen to be regular
// ones, by what was seen.
func (w *Walker) Extents(ctx context.Context, root int, names ...string) (list []Extent, complete bool, err error) {
	k := &walk{Walker: w, ctx: ctx, linked: map[scan.FileKey]scan.SharedFile{}, extents: &extents{shares: map[uint64]bool{}}}
	for _, name := range names {
		k.from(root, name)
	}
	k.workers.Wait()
	return k.extents.list, !k.extents.skipped && !k.sum.unread, ctx.Err()
}

// shared notes what a file of f shares. A name is never opened that may have
// become a device's since it was looked at.
func (w *worker) shared(f *frame, name []byte, st *beneath.Stat) {
	if st.Type() != unix.S_IFREG || st.Blocks == 0 || w.alone(st.Device) {
		return
	}
	err := w.open(f, string(name), st)
	if err != nil && err != unix.ENOENT { // ENOENT: it was removed
		w.problem(f.at, string(name), err)
	}
}

// alone reports whether the files of a device are known to share nothing.
func (w *worker) alone(device uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	shares, known := w.extents.shares[device]
	return known && !shares
}

func (w *worker) open(f *frame, name string, st *beneath.Stat) error {
	at, err := unix.Openat(f.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(at) // nothing was written through it
	var is unix.Stat_t
	if err := unix.Fstat(at, &is); err != nil {
		return err
	}
	if is.Ino != st.Inode || is.Mode&unix.S_IFMT != unix.S_IFREG {
		return unix.ENOENT // another one since
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", at), unix.O_RDONLY|unix.O_NOATIME|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) // nothing was written through it
	if !w.shares(fd, st.Device) {
		return nil
	}
	return w.mapped(fd, key(st))
}

// shares reports whether files of an open one's file system can share blocks
// without being counted by it.
func (w *worker) shares(fd int, device uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	shares, known := w.extents.shares[device]
	if !known {
		shares = sharesBlocks(fd)
		w.extents.shares[device] = shares
		w.extents.skipped = w.extents.skipped || !shares
	}
	return shares
}

func sharesBlocks(fd int) bool {
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil {
		return false
	}
	switch fs.Type {
	case unix.BTRFS_SUPER_MAGIC:
		return !btrfs.QuotaOf(fd).Trusted()
	case unix.XFS_SUPER_MAGIC:
		return xfsShares(fd)
	}
	return false
}

// xfsShares asks an XFS whether it was made with reflinks (XFS_IOC_FSGEOMETRY_V4
// of xfs_fs.h).
func xfsShares(fd int) bool {
	const geometry, size, flags, reflink = 0x8070587c, 112, 92, 1 << 20
	var geom [size]byte
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), geometry, uintptr(unsafe.Pointer(&geom)))
	return errno == 0 && binary.NativeEndian.Uint32(geom[flags:])&reflink != 0
}

// mapped lists the extents of an open file that others may share (linux/fiemap.h).
func (w *worker) mapped(fd int, file scan.FileKey) error {
	const (
		fiemap                                 = 0xc020660b
		head, one, many                        = 32, 56, 64
		length, count, room                    = 8, 20, 24
		logical, physical, size, flags         = 0, 8, 16, 40
		last, unknown, encoded, inline, shared = 0x1, 0x2, 0x8, 0x200, 0x2000
	)
	var request [head + one*many]byte
	for from := uint64(0); ; {
		if err := w.ctx.Err(); err != nil {
			return nil // the walk ends with it
		}
		binary.NativeEndian.PutUint64(request[:], from)
		binary.NativeEndian.PutUint64(request[length:], ^uint64(0)-from)
		binary.NativeEndian.PutUint32(request[room:], many)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), fiemap, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return errno
		}
		n := binary.NativeEndian.Uint32(request[count:])
		for i := range n {
			e := request[head+i*one:]
			is := binary.NativeEndian.Uint32(e[flags:])
			from = binary.NativeEndian.Uint64(e[logical:]) + binary.NativeEndian.Uint64(e[size:])
			if is&shared != 0 && is&(unknown|inline) == 0 {
				w.extent(Extent{
					File: file, Start: binary.NativeEndian.Uint64(e[physical:]), Length: binary.NativeEndian.Uint64(e[size:]),
					Whole: is&encoded != 0,
				})
			}
			if is&last != 0 {
				return nil
			}
		}
		if n == 0 {
			return nil
		}
	}
}

func (w *worker) extent(e Extent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.extents.list = append(w.extents.list, e)
}
