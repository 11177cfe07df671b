package tree

import (
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/btrfs"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// Stat implements [scan.Tree].
func (d *Disk) Stat(name string) (scan.Info, error) {
	var st beneath.Stat
	var top btrfs.Subvolume
	err := d.dirs.from(d.root, name, func(dir int, rest string) error {
		if err := d.stat(dir, rest, &st); err != nil || st.Inode != btrfs.Top || st.Type() != unix.S_IFDIR {
			return err
		}
		var err error
		top, err = d.top(dir, rest, &st)
		return err
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
		Subvolume: top.ID,
	}, nil
}

// stat describes what stands at a name.
func (d *Disk) stat(dir int, name string, st *beneath.Stat) error {
	if d.calls.Statx && d.calls.MountID && single(name) {
		return d.calls.Lstat(dir, &append([]byte(name), 0)[0], st)
	}
	fd, err := d.calls.Path(dir, name)
	if err != nil {
		return err
	}
	defer unix.Close(fd) // nothing was written through it
	return d.calls.Fstat(fd, st)
}

// top describes a directory that may be the top of a subvolume. That was born
// when the subvolume was made: what its inode says is copied from its origin.
func (d *Disk) top(dir int, name string, st *beneath.Stat) (btrfs.Subvolume, error) {
	fd, err := d.calls.Dir(dir, name)
	if err != nil {
		return btrfs.Subvolume{}, err
	}
	defer unix.Close(fd) // nothing was written through it
	if err := d.calls.Fstat(fd, st); err != nil {
		return btrfs.Subvolume{}, err
	}
	s, ok, err := btrfs.Of(fd)
	if ok {
		st.Birth = s.Made
	}
	return s, err
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
