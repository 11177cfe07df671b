package linked

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Like gives a directory the owner, mode, flags, extended attributes and times of
// another.
func Like(from, to *os.File) error { return like(int(from.Fd()), int(to.Fd())) }

func like(from, to int) error {
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return err
	}
	if err := unix.Fchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := likeFlags(from, to); err != nil { // of which some are attributes, too
		return err
	}
	if err := likeAttributes(from, to); err != nil {
		return err
	}
	// After the owner and the access control list, which change it.
	if err := unix.Fchmod(to, st.Mode&0o7777); err != nil {
		return err
	}
	times := [2]unix.Timespec{st.Atim, st.Mtim}
	if _, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(to), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// heritable are the flags of a directory (linux/fs.h, FS_*_FL) that what is made in
// it has too, or that hold for what is in it.
const heritable = 0x4 | // COMPR
	0x8 | // SYNC
	0x40 | // NODUMP
	0x80 | // NOATIME
	0x400 | // NOCOMP
	0x10000 | // DIRSYNC
	0x800000 // NOCOW

// likeFlags gives a directory the flags of another, and how much XFS is to
// allocate at once in it, where the file system has such.
func likeFlags(from, to int) error {
	want, errFrom := unix.IoctlGetUint32(from, unix.FS_IOC_GETFLAGS)
	has, errTo := unix.IoctlGetUint32(to, unix.FS_IOC_GETFLAGS)
	if errFrom == nil && errTo == nil && (want^has)&heritable != 0 {
		if err := unix.IoctlSetPointerInt(to, unix.FS_IOC_SETFLAGS, int(has&^heritable|want&heritable)); err != nil {
			return fmt.Errorf("flags: %w: %w", err, ErrImpossible)
		}
	}
	a, errFrom := fsxattrOf(from)
	b, errTo := fsxattrOf(to)
	const hints = 0x1000 | 0x10000 // FS_XFLAG_EXTSZINHERIT, FS_XFLAG_COWEXTSIZE
	if errFrom != nil || errTo != nil || (a.Xflags^b.Xflags)&hints == 0 && a.Extsize == b.Extsize && a.Cowextsize == b.Cowextsize {
		return nil //nolint:nilerr // the file system has none of these
	}
	b.Xflags, b.Extsize, b.Cowextsize = b.Xflags&^hints|a.Xflags&hints, a.Extsize, a.Cowextsize
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(to), setFsxattr, uintptr(unsafe.Pointer(&b))); errno != 0 {
		return fmt.Errorf("hints of how much to allocate: %w: %w", errno, ErrImpossible)
	}
	return nil
}

// likeAttributes gives a directory the extended attributes of another, and no
// others, but for those of the kernel's security modules, which label what is
// made by themselves.
func likeAttributes(from, to int) error {
	names, err := attributes(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		value, err := attribute(from, name)
		if err == nil {
			err = unix.Fsetxattr(to, name, value, 0)
		}
		if err != nil {
			return fmt.Errorf("attribute %s: %w: %w", name, err, ErrImpossible)
		}
	}
	others, err := attributes(to)
	if err != nil {
		return err
	}
	for _, name := range others {
		if slices.Contains(names, name) || strings.HasPrefix(name, "security.") {
			continue
		}
		if err := unix.Fremovexattr(to, name); err != nil {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	return nil
}

// attributes lists the names of a file's extended attributes.
func attributes(fd int) ([]string, error) {
	buf, err := sized(func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) })
	if err == unix.EOPNOTSUPP {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text := strings.TrimSuffix(string(buf), "\x00")
	if text == "" {
		return nil, nil
	}
	return strings.Split(text, "\x00"), nil
}

func attribute(fd int, name string) ([]byte, error) {
	return sized(func(buf []byte) (int, error) { return unix.Fgetxattr(fd, name, buf) })
}

// sized reads what tells its size when it is asked with no room for it, until
// it has not grown meanwhile.
func sized(read func([]byte) (int, error)) ([]byte, error) {
	for {
		size, err := read(nil)
		if err != nil || size == 0 {
			return nil, err
		}
		buf := make([]byte, size)
		n, err := read(buf)
		if err == unix.ERANGE {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}

// fsxattr is struct fsxattr of linux/fs.h.
type fsxattr struct {
	Xflags, Extsize, Nextents, Project, Cowextsize uint32
	_                                              [8]byte
}

const (
	getFsxattr = 0x801c581f // FS_IOC_FSGETXATTR
	setFsxattr = 0x401c5820 // FS_IOC_FSSETXATTR
)

// Project is the project id by which a disk quota counts an open directory; 0
// if it has none. File systems without such ids do not know the question.
func Project(dir int) uint32 {
	x, err := fsxattrOf(dir)
	if err != nil {
		return 0
	}
	return x.Project
}

func fsxattrOf(fd int) (fsxattr, error) {
	var x fsxattr
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), getFsxattr, uintptr(unsafe.Pointer(&x))); errno != 0 {
		return x, errno
	}
	return x, nil
}
