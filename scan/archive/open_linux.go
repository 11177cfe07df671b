package archive

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// maxLinks is how many symbolic links a path may have, as for the kernel.
const maxLinks = 40

// A source is a directory below the data root, held by a descriptor.
type source struct {
	dir   int // O_PATH
	calls beneath.Calls
	on    beneath.Stat // of the directory itself: nothing on another mount or device is read
}

// openSource opens a directory below the data root. The caller closes it.
func openSource(root, name string) (*source, error) {
	top, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", root, err)
	}
	defer unix.Close(top) // nothing was written through it
	s := &source{calls: beneath.Probe(top)}
	if s.dir, err = s.calls.PathDir(top, name); err != nil {
		return nil, fmt.Errorf("%s: %w", name, told(err))
	}
	if err := s.calls.Fstat(s.dir, &s.on); err != nil {
		unix.Close(s.dir) // as above
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (s *source) close() { unix.Close(s.dir) } // nothing was written through it

// elsewhere reports whether a file is on another mount than the directory.
func (s *source) elsewhere(st *beneath.Stat) bool {
	return st.Device != s.on.Device || st.Mount != 0 && s.on.Mount != 0 && st.Mount != s.on.Mount
}

// told is an error of opening by its meaning.
func told(err error) error {
	if errors.Is(err, unix.ELOOP) {
		return scan.ErrSymlink // the only way to get it: no link is ever followed
	}
	return err
}

// file opens a regular file of a registered layer to read it, and tells its
// size. The caller closes it.
func (s *source) file(name string) (fd int, size int64, err error) {
	fd, size, err = s.regular(name)
	if errors.Is(err, scan.ErrSymlink) {
		if name, err = s.follow(name); err == nil {
			fd, size, err = s.regular(name)
		}
	}
	return fd, size, err
}

// regular opens a regular file below the directory. Nothing else is opened but
// to be described: a device would notice.
func (s *source) regular(name string) (fd int, size int64, err error) {
	var is, opened beneath.Stat
	fd, err = s.calls.Path(s.dir, name)
	if err != nil {
		return -1, 0, told(err)
	}
	err = s.calls.Fstat(fd, &is)
	unix.Close(fd) // nothing was written through it
	switch {
	case err != nil:
		return -1, 0, err
	case is.Type() != unix.S_IFREG:
		return -1, 0, errNotRegular
	case s.elsewhere(&is):
		return -1, 0, unix.EXDEV
	}
	if fd, err = s.calls.File(s.dir, name); err != nil {
		return -1, 0, err
	}
	if err = s.calls.Fstat(fd, &opened); err == nil && (opened.Inode != is.Inode || opened.Device != is.Device || opened.Mount != is.Mount) {
		err = errChanged
	}
	if err != nil {
		unix.Close(fd) // as above
		return -1, 0, err
	}
	return fd, opened.Size, nil
}

// follow returns where a name leads through symbolic links of the layer, none
// of which leads out of it: the daemon unpacked it with the layer as its root.
// The last element is no link: what the daemon finds there it replaces.
func (s *source) follow(name string) (string, error) {
	at, rest := ".", strings.Split(name, "/")
	for links := 0; len(rest) > 1; {
		next := path.Join("/", at, rest[0])[1:]
		rest = rest[1:]
		if next == "" {
			at = "."
			continue
		}
		target, err := s.link(next)
		if err != nil {
			return "", err
		}
		if target == "" {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", scan.ErrSymlink
		}
		if path.IsAbs(target) {
			at = "."
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return path.Join("/", at, rest[0])[1:], nil
}

// link returns where a symbolic link leads; "" if the name is none.
func (s *source) link(name string) (string, error) {
	fd, err := s.calls.Path(s.dir, name)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd) // nothing was written through it
	var is beneath.Stat
	if err := s.calls.Fstat(fd, &is); err != nil || is.Type() != unix.S_IFLNK {
		return "", err
	}
	return readlink(fd, "")
}
