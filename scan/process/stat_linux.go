package process

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
)

// describe describes what a link of the process table leads to. It takes what
// a network file system remembers rather than asking for news.
func describe(at int, name string) (scan.Info, error) { return stat(at, name, 0) }

// Lookup returns the identity of what is at a path in a process's own root.
// It does not follow a link at the path's end and mounts nothing.
func Lookup(root, path string) (scan.FileKey, error) {
	info, err := stat(unix.AT_FDCWD, root+"/"+path, unix.AT_SYMLINK_NOFOLLOW)
	return scan.FileKey{Device: info.Stamp.Device, Inode: info.Stamp.Inode}, err
}

func stat(at int, name string, flags int) (scan.Info, error) {
	flags |= unix.AT_NO_AUTOMOUNT
	var x unix.Statx_t
	err := unix.Statx(at, name, flags|unix.AT_STATX_DONT_SYNC, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &x)
	if errors.Is(err, unix.EINTR) {
		return stat(at, name, flags)
	}
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return oldStat(at, name, flags) // before 4.11, or forbidden by a seccomp profile of that time
	}
	if err != nil {
		return scan.Info{}, err
	}
	info := scan.Info{Mode: mode(uint32(x.Mode)), Size: int64(x.Size), Bytes: int64(x.Blocks) * 512, Links: uint64(x.Nlink)}
	info.Stamp = scan.Stamp{
		Device: unix.Mkdev(x.Dev_major, x.Dev_minor), Inode: x.Ino,
		Change: time.Unix(x.Ctime.Sec, int64(x.Ctime.Nsec)).UTC(),
	}
	if x.Mask&unix.STATX_BTIME != 0 {
		info.Stamp.Birth = time.Unix(x.Btime.Sec, int64(x.Btime.Nsec)).UTC()
	}
	return info, nil
}

func oldStat(at int, name string, flags int) (scan.Info, error) {
	var s unix.Stat_t
	err := unix.Fstatat(at, name, &s, flags)
	if errors.Is(err, unix.EINTR) {
		return oldStat(at, name, flags)
	}
	if err != nil {
		return scan.Info{}, err
	}
	info := scan.Info{Mode: mode(s.Mode), Size: s.Size, Bytes: s.Blocks * 512, Links: uint64(s.Nlink)}
	info.Stamp = scan.Stamp{Device: uint64(s.Dev), Inode: s.Ino, Change: time.Unix(s.Ctim.Unix()).UTC()}
	return info, nil
}

// mode is the file type of st_mode.
func mode(st uint32) fs.FileMode {
	switch st & unix.S_IFMT {
	case unix.S_IFREG:
		return 0
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFLNK:
		return fs.ModeSymlink
	case unix.S_IFCHR:
		return fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		return fs.ModeDevice
	case unix.S_IFIFO:
		return fs.ModeNamedPipe
	case unix.S_IFSOCK:
		return fs.ModeSocket
	}
	return fs.ModeIrregular
}

func readlinkat(at int, name string) (string, error) {
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(at, name, buf[:])
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// FileSystem returns what kind of file system a link of the process table, or
// a path, leads to (statfs).
func FileSystem(link string) (Magic, error) {
	var s unix.Statfs_t
	err := unix.Statfs(link, &s)
	if errors.Is(err, unix.EINTR) {
		return FileSystem(link)
	}
	return Magic(uint32(s.Type)), err
}
