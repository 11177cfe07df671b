package beneath

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Stat is what the kernel says about a file.
type Stat struct {
	Device uint64
	Inode  uint64
	Mount  uint64 // 0: not known
	Mode   uint32 // st_mode
	Links  uint64
	Size   int64
	Blocks int64     // of 512 bytes
	Birth  time.Time // zero: not known
	Change time.Time // ctime
}

// Type is the file type of st_mode (S_IFMT).
func (s *Stat) Type() uint32 { return s.Mode & unix.S_IFMT }

// mask is what a [Stat] takes from statx.
const mask = unix.STATX_BASIC_STATS | unix.STATX_BTIME | unix.STATX_MNT_ID

var empty = [1]byte{} // an empty name: the descriptor itself

// Fstat describes an open file. Where statx does not tell the mount id, other
// calls do; see [Calls].
func (c Calls) Fstat(fd int, st *Stat) error {
	if c.Statx {
		err := c.statx(fd, &empty[0], unix.AT_EMPTY_PATH, st)
		if err == nil && st.Mount == 0 {
			st.Mount = c.mountOf(fd)
		}
		return err
	}
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return err
	}
	st.set(&s)
	st.Mount = c.mountOf(fd)
	return nil
}

// Lstat describes an entry of a directory, never a link's target. The name
// ends with a NUL, as it does in a directory's buffer: one of millions costs
// no allocation. The mount id is known only where statx tells it.
func (c Calls) Lstat(dir int, name *byte, st *Stat) error {
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if c.Statx {
		return c.statx(dir, name, flags, st)
	}
	var s unix.Stat_t
	if err := unix.Fstatat(dir, unix.BytePtrToString(name), &s, flags); err != nil {
		return err
	}
	st.set(&s)
	return nil
}

func (c Calls) statx(dir int, name *byte, flags int, st *Stat) error {
	var x unix.Statx_t
	if err := statx(dir, name, flags, mask, &x); err != nil {
		return err
	}
	*st = Stat{
		Device: unix.Mkdev(x.Dev_major, x.Dev_minor),
		Inode:  x.Ino,
		Mode:   uint32(x.Mode),
		Links:  uint64(x.Nlink),
		Size:   int64(x.Size),
		Blocks: int64(x.Blocks),
		Change: time.Unix(x.Ctime.Sec, int64(x.Ctime.Nsec)).UTC(),
	}
	if c.MountID && x.Mask&unix.STATX_MNT_ID != 0 {
		st.Mount = x.Mnt_id
	}
	if x.Mask&unix.STATX_BTIME != 0 {
		st.Birth = time.Unix(x.Btime.Sec, int64(x.Btime.Nsec)).UTC()
	}
	return nil
}

func (s *Stat) set(from *unix.Stat_t) {
	*s = Stat{
		Device: uint64(from.Dev),
		Inode:  from.Ino,
		Mode:   from.Mode,
		Links:  uint64(from.Nlink),
		Size:   from.Size,
		Blocks: from.Blocks,
		Change: time.Unix(from.Ctim.Unix()).UTC(),
	}
}

// statx is unix.Statx for a name that is bytes already.
func statx(dir int, name *byte, flags, mask int, x *unix.Statx_t) error {
	for {
		_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(name)),
			uintptr(flags), uintptr(mask), uintptr(unsafe.Pointer(x)), 0)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return errno
	}
}
