package tree

import (
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// Stat implements [scan.Tree].
func (d *Disk) Stat(name string) (scan.Info, error) {
	var st beneath.Stat
	err := d.dirs.from(d.root, name, func(dir int, rest string) error {
		if d.calls.Statx && d.calls.MountID && single(rest) {
			return d.calls.Lstat(dir, &append([]byte(rest), 0)[0], &st)
		}
		fd, err := d.calls.Path(dir, rest)
		if err != nil {
			return err
		}
		defer unix.Close(fd) // nothing was written through it
		return d.calls.Fstat(fd, &st)
	})
	if err != nil {
		return scan.Info{}, fail(name, err)
	}
	return scan.Info{
		Mode:  mode(st.Mode),
		Size:  st.Size,
		Bytes: st.Blocks * 512,
		Links: st.Links,
		Stamp: scan.Stamp{
			Device: st.Device,
			Inode:  st.Inode,
			Mount:  st.Mount,
			Birth:  st.Birth,
			Change: st.Change,
		},
	}, nil
}

// single reports a name of one element, which the kernel resolves without
// going anywhere.
func single(name string) bool {
	return beneath.Check(name) == nil && name != "." && strings.IndexByte(name, '/') < 0
}

// ReadLink implements [scan.Tree].
func (d *Disk) ReadLink(name string) (string, error) {
	var target [unix.PathMax]byte // no link that can be followed is longer
	var n int
	err := d.dirs.from(d.root, name, func(dir int, rest string) (err error) {
		if single(rest) {
			n, err = unix.Readlinkat(dir, rest, target[:])
			if err == unix.EINVAL {
				return errNotLink
			}
			return err
		}
		fd, err := d.calls.Path(dir, rest)
		if err != nil {
			return err
		}
		defer unix.Close(fd) // nothing was written through it
		n, err = unix.Readlinkat(fd, "", target[:])
		if err == unix.ENOENT {
			return errNotLink // the descriptor is there, so it is not a link's
		}
		return err
	})
	if err != nil {
		return "", fail(name, err)
	}
	if n == len(target) {
		return "", fail(name, unix.ENAMETOOLONG)
	}
	return string(target[:n]), nil
}

// mode translates st_mode.
func mode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	for _, bit := range [...]struct {
		from uint32
		to   fs.FileMode
	}{
		{unix.S_ISUID, fs.ModeSetuid},
		{unix.S_ISGID, fs.ModeSetgid},
		{unix.S_ISVTX, fs.ModeSticky},
	} {
		if m&bit.from != 0 {
			mode |= bit.to
		}
	}
	switch m & unix.S_IFMT {
	case unix.S_IFREG:
		return mode
	case unix.S_IFDIR:
		return mode | fs.ModeDir
	case unix.S_IFLNK:
		return mode | fs.ModeSymlink
	case unix.S_IFIFO:
		return mode | fs.ModeNamedPipe
	case unix.S_IFSOCK:
		return mode | fs.ModeSocket
	case unix.S_IFBLK:
		return mode | fs.ModeDevice
	case unix.S_IFCHR:
		return mode | fs.ModeDevice | fs.ModeCharDevice
	}
	return mode | fs.ModeIrregular
}
