package prune

import (
	"bytes"
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/prune/unlink"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// A rootDisk is a data root on a real disk, held by a descriptor.
type rootDisk struct {
	root  int // O_PATH
	path  string
	calls beneath.Calls
	mount uint64
	proc  string // the process table, for the mount tables of all namespaces
	crew  *unlink.Crew

	bareRoot bareRoot
}

// OpenDisk opens a data root to write to it: an absolute path without
// symbolic links. The process table tells what is mounted where. The function
// that it returns closes it.
func OpenDisk(dir, proc string) (Disk, func() error, error) {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	d := &rootDisk{root: root, path: dir, calls: beneath.Probe(root), proc: proc, crew: unlink.New(0)}
	var st beneath.Stat
	err = d.calls.Fstat(root, &st)
	if err == nil && st.Mount == 0 {
		err = errors.New("the kernel does not tell which mount it is on")
	}
	if err != nil {
		unix.Close(root) // nothing was written through it
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	d.mount = st.Mount
	return d, func() error { return errors.Join(d.bareRoot.close(), unix.Close(root)) }, nil
}

// at calls f with the directory that a name is in, and the name's last element.
func (d *rootDisk) at(name string, f func(dir int, base string) error) error {
	return below(name, d.dir, f)
}

// below is at for a way to open a directory.
func below(name string, open func(dir string) (int, error), f func(dir int, base string) error) error {
	dir, base := path.Split(name)
	fd, err := open(path.Clean("./" + dir))
	if err == nil {
		err = f(fd, base)
		unix.Close(fd) // it only led to the name
	}
	if err != nil {
		return fmt.Errorf("%s: %w", beneath.Shown(name), err)
	}
	return nil
}

// dir opens a directory on the root's own mount.
func (d *rootDisk) dir(name string) (int, error) {
	fd, err := d.calls.PathDir(d.root, name)
	if err != nil {
		return -1, err
	}
	var st beneath.Stat
	if err = d.calls.Fstat(fd, &st); err == nil && st.Mount != d.mount {
		err = ErrOtherMount
	}
	if err != nil {
		unix.Close(fd) // nothing was written through it
		return -1, err
	}
	return fd, nil
}

func (d *rootDisk) Mkdir(name string) error {
	return d.at(name, func(dir int, base string) error { return unix.Mkdirat(dir, base, 0o700) })
}

func (d *rootDisk) Rename(from, to string) error {
	err := d.rename(from, to, d.dir)
	if errors.Is(err, ErrOtherMount) {
		err = d.rename(from, to, d.bare)
	}
	return err
}

func (d *rootDisk) rename(from, to string, open func(dir string) (int, error)) error {
	return below(from, open, func(fromDir int, fromBase string) error {
		var quota error
		err := below(to, open, func(toDir int, toBase string) error {
			if quota = checkQuota(d.calls, fromDir, fromBase, toDir); quota != nil {
				return nil
			}
			return rename(fromDir, fromBase, toDir, toBase)
		})
		return errors.Join(quota, err)
	})
}

// rename never replaces anything. Where the file system or the kernel has no
// such rename, nobody but us makes the names that a run renames to, and the
// other way nobody but the daemon, which makes fresh ones: to look before is
// as good.
func rename(fromDir int, from string, toDir int, to string) error {
	err := unix.Renameat2(fromDir, from, toDir, to, unix.RENAME_NOREPLACE)
	if err != unix.EINVAL && err != unix.ENOSYS {
		return err
	}
	var st unix.Stat_t
	switch err := unix.Fstatat(toDir, to, &st, unix.AT_SYMLINK_NOFOLLOW); err {
	case nil:
		return unix.EEXIST
	case unix.ENOENT:
		return unix.Renameat(fromDir, from, toDir, to)
	default:
		return err
	}
}

func (d *rootDisk) Append(name string, data []byte) error {
	return d.at(name, func(dir int, base string) error {
		const flags = unix.O_RDWR | unix.O_APPEND | unix.O_NOFOLLOW | unix.O_CLOEXEC
		fd, err := unix.Openat(dir, base, flags, 0)
		made := err == unix.ENOENT
		if made {
			fd, err = unix.Openat(dir, base, flags|unix.O_CREAT|unix.O_EXCL, 0o600)
		}
		if err != nil {
			return err
		}
		err = appendLine(fd, data)
		err = errors.Join(err, unix.Close(fd))
		switch {
		case made && err == nil:
			err = d.sync(path.Dir(name))
		case made:
			err = errors.Join(err, unix.Unlinkat(dir, base, 0))
		}
		return err
	})
}

// appendLine adds a line, or nothing: a part of one would be taken for what a
// crash cut off, and so would the next line with it. Such a part is cut off
// first.
func appendLine(fd int, data []byte) error {
	end, err := lastLine(fd)
	if err != nil {
		return err
	}
	err = write(fd, data)
	if err == nil {
		err = unix.Fsync(fd)
	}
	if err != nil {
		return errors.Join(err, unix.Ftruncate(fd, end))
	}
	return nil
}

// lastLine cuts a file after its last whole line and returns its length.
func lastLine(fd int) (int64, error) {
	size, err := unix.Seek(fd, 0, unix.SEEK_END)
	if err != nil {
		return 0, err
	}
	var block [4096]byte
	for end := size; ; {
		n := min(end, int64(len(block)))
		if _, err := unix.Pread(fd, block[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(block[:n], '\n'); i >= 0 {
			end -= n - int64(i) - 1
		} else if end -= n; end > 0 {
			continue
		}
		if end == size {
			return end, nil
		}
		return end, unix.Ftruncate(fd, end)
	}
}

func write(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

func (d *rootDisk) Remove(name string) error {
	return d.at(name, func(dir int, base string) error {
		err := unix.Unlinkat(dir, base, 0)
		if err == unix.EISDIR {
			err = unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
		}
		return err
	})
}

func (d *rootDisk) Sync(dir string) error {
	if err := d.sync(dir); err != nil {
		return fmt.Errorf("%s: %w", beneath.Shown(dir), err)
	}
	return nil
}

func (d *rootDisk) sync(dir string) error {
	fd, err := d.calls.Dir(d.root, dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Fsync(fd), unix.Close(fd))
}

func (d *rootDisk) Free() (int64, error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(d.root, &s); err != nil {
		return 0, fmt.Errorf("%s: %w", d.path, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}
