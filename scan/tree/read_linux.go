package tree

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

var (
	errNotRegular = errors.New("not a regular file")
	errNotLink    = errors.New("not a symbolic link")
)

// ReadFile implements [scan.Tree].
func (d *Disk) ReadFile(name string, limit int64) ([]byte, error) {
	fd, size, err := d.regular(name)
	if err != nil {
		return nil, fail(name, err)
	}
	defer unix.Close(fd) // nothing was written through it
	if size > limit {
		return nil, fail(name, tooLarge(limit))
	}
	content := make([]byte, 0, cmp.Or(size, 512)) // a file of /proc has no size
	for {
		n, err := unix.Read(fd, content[len(content):cap(content)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fail(name, err)
		}
		content = content[:len(content)+n]
		if int64(len(content)) > limit {
			return nil, fail(name, tooLarge(limit))
		}
		if n == 0 || int64(len(content)) == size {
			return content, nil
		}
		if len(content) == cap(content) {
			content = slices.Grow(content, 512)
		}
	}
}

func tooLarge(limit int64) error { return fmt.Errorf("larger than %d bytes", limit) }

// Open implements [scan.Tree].
func (d *Disk) Open(name string) (scan.ReaderAt, error) {
	fd, _, err := d.regular(name)
	if err != nil {
		return nil, fail(name, err)
	}
	return &file{name: name, file: os.NewFile(uintptr(fd), name)}, nil
}

// regular opens a file and makes sure that it is one.
func (d *Disk) regular(name string) (fd int, size int64, err error) {
	err = d.dirs.from(d.root, name, func(dir int, rest string) (err error) {
		fd, err = d.calls.File(dir, rest)
		return err
	})
	if err != nil {
		return -1, 0, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		err = unix.EISDIR
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		err = errNotRegular
	default:
		return fd, st.Size, nil
	}
	unix.Close(fd) // nothing was written through it
	return -1, 0, err
}

// A file is an open regular file.
type file struct {
	name string
	file *os.File
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.file.ReadAt(p, off)
	return n, f.fail(err)
}

func (f *file) Size() (int64, error) {
	info, err := f.file.Stat()
	if err != nil {
		return 0, f.fail(err)
	}
	return info.Size(), nil
}

func (f *file) Close() error { return f.fail(f.file.Close()) }

// fail leaves io.EOF alone: callers compare it.
func (f *file) fail(err error) error {
	var inner *os.PathError
	if err == nil || err == io.EOF || !errors.As(err, &inner) {
		return err
	}
	return fmt.Errorf("%s: %w", beneath.Shown(f.name), inner.Err)
}
