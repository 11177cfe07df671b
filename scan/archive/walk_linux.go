package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// Names that are removals in an archive of a layer.
const (
	whiteout = ".wh."
	meta     = ".wh..wh."     // what is no removal of one name
	opaque   = ".wh..wh..opq" // in a directory: nothing of what is below shows
)

// maxPath is the longest path that the daemon can unpack: it has less for it
// than the kernel takes, but what does not fit fails there, and not silently.
const maxPath = unix.PathMax - 1

// maxLeftOut bounds how many files are told that were left out.
const maxLeftOut = 1000

// A walk is one reading of a written layer.
type walk struct {
	*Written
	ctx   context.Context //nolint:containedctx // a walk is one call of archive
	out   *tar.Writer
	links map[inode]string // files with several links that were met
	buf   []byte
	left  []string
	more  int // that were left out
}

type inode struct{ device, number uint64 }

// archive writes the layer's archive, in an order that depends on nothing but
// its content, and returns what it left out.
func (w *Written) archive(ctx context.Context, to io.Writer) ([]string, error) {
	k := &walk{Written: w, ctx: ctx, out: tar.NewWriter(to), links: map[inode]string{}, buf: make([]byte, beneath.ListSize)}
	if err := k.dir("."); err != nil {
		return nil, err
	}
	if k.more > 0 {
		k.left = append(k.left, fmt.Sprintf("and %d more", k.more))
	}
	return k.left, k.out.Close()
}

// fail puts a file's name before an error.
func (k *walk) fail(name string, err error) error {
	return fmt.Errorf("%s: %w", beneath.Shown(path.Join(k.name, name)), err)
}

func (k *walk) leave(name, why string) {
	if len(k.left) == maxLeftOut {
		k.more++
		return
	}
	k.left = append(k.left, beneath.Shown(name)+": "+why)
}

// dir writes a directory and all that is below.
func (k *walk) dir(name string) error {
	if err := k.ctx.Err(); err != nil {
		return err
	}
	if len(name) > maxPath {
		return k.fail(name[:maxPath], errors.New("too deep for an archive to be unpacked"))
	}
	fd, err := k.calls.Dir(k.source.dir, name)
	if err != nil {
		return k.fail(name, err)
	}
	below, err := k.entries(fd, name)
	unix.Close(fd) // nothing was written through it
	if err != nil {
		return err
	}
	for _, d := range below {
		if err := k.dir(path.Join(name, d)); err != nil {
			return err
		}
	}
	return nil
}

// entries writes an open directory and what is in it, and returns the names of
// the directories in it.
func (k *walk) entries(fd int, name string) (below []string, err error) {
	var on beneath.Stat
	var st unix.Stat_t
	if err := errors.Join(k.calls.Fstat(fd, &on), unix.Fstat(fd, &st)); err != nil {
		return nil, k.fail(name, err)
	}
	if k.elsewhere(&on) {
		return nil, k.fail(name, unix.EXDEV)
	}
	names, err := k.list(fd)
	if err != nil {
		return nil, k.fail(name, err)
	}
	attrs, err := k.attributes(fd, name)
	if err != nil {
		return nil, k.fail(name, err)
	}
	h, err := k.header(name+"/", &st)
	if err != nil {
		return nil, err
	}
	h.Typeflag, h.PAXRecords = tar.TypeDir, attrs.kept
	if err := k.out.WriteHeader(h); err != nil {
		return nil, k.fail(name, err)
	}
	marked := k.form.names && (slices.Contains(names, opaque) || slices.Contains(names, ".wh..opq"))
	if !k.form.whole && (attrs.opaque || marked) {
		if err := k.removal(path.Join(name, opaque)); err != nil {
			return nil, err
		}
	}
	for _, n := range names {
		isDir, err := k.entry(fd, name, n)
		if err != nil {
			return nil, err
		}
		if isDir {
			below = append(below, n)
		}
	}
	return below, nil
}

// list reads the names of a directory, sorted.
func (k *walk) list(fd int) ([]string, error) {
	var names []string
	for {
		list, err := beneath.List(fd, k.buf)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			slices.Sort(names)
			return names, nil
		}
		for {
			e, rest, ok := beneath.Next(list)
			if !ok {
				break
			}
			names, list = append(names, string(e.Name)), rest
		}
	}
}

// entry writes what stands at a name of a directory, unless that is a
// directory.
func (k *walk) entry(dir int, in, base string) (isDir bool, err error) {
	name := path.Join(in, base)
	var st unix.Stat_t
	if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return false, k.fail(name, err)
	}
	kind := st.Mode & unix.S_IFMT
	switch {
	case k.form.own && in == "." && strings.HasPrefix(base, meta) && base != opaque:
		return false, nil
	case strings.HasPrefix(base, whiteout):
		return false, k.named(name, base, &st)
	case kind == unix.S_IFDIR:
		return true, nil
	case kind == unix.S_IFCHR && st.Rdev == 0 && k.form.devices:
		return false, k.removal(path.Join(in, whiteout+base))
	case kind == unix.S_IFSOCK:
		k.leave(name, "a socket")
		return false, nil
	}
	h, err := k.header(name, &st)
	if err != nil {
		return false, err
	}
	if st.Nlink > 1 {
		key := inode{uint64(st.Dev), st.Ino}
		if first, ok := k.links[key]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return false, k.write(h)
		}
		k.links[key] = name
	}
	switch kind {
	case unix.S_IFREG:
		return false, k.file(dir, base, h, &st)
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = readlink(dir, base); err != nil {
			return false, k.fail(name, err)
		}
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if kind == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(uint64(st.Rdev))), int64(unix.Minor(uint64(st.Rdev)))
	}
	return false, k.write(h)
}

// named writes a file whose name is that of a removal: one that the driver
// made is one, and any other would become one.
func (k *walk) named(name, base string, st *unix.Stat_t) error {
	kind := st.Mode & unix.S_IFMT
	drivers := kind == unix.S_IFREG || kind == unix.S_IFCHR && st.Rdev == 0 // fuse-overlayfs as root makes devices
	switch {
	case !k.form.names || !drivers:
		k.leave(name, "its name means a removal in an image")
		return nil
	case strings.HasPrefix(base, meta) || base == ".wh..opq":
		return nil // the directory's: told already
	}
	return k.removal(name)
}

// removal writes an empty file whose name says what is removed.
func (k *walk) removal(name string) error {
	return k.write(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Format: tar.FormatPAX})
}

func (k *walk) write(h *tar.Header) error {
	if err := k.out.WriteHeader(h); err != nil {
		return k.fail(h.Name, err)
	}
	return nil
}

// file writes a regular file. Between being described and being opened it may
// have been replaced: then it is not read.
func (k *walk) file(dir int, base string, h *tar.Header, st *unix.Stat_t) error {
	fd, err := k.calls.File(dir, base)
	if err != nil {
		return k.fail(h.Name, err)
	}
	defer unix.Close(fd) // nothing was written through it
	var on beneath.Stat
	if err := k.calls.Fstat(fd, &on); err != nil {
		return k.fail(h.Name, err)
	}
	if on.Inode != st.Ino || on.Type() != unix.S_IFREG {
		return k.fail(h.Name, errChanged)
	}
	if k.elsewhere(&on) {
		return k.fail(h.Name, unix.EXDEV)
	}
	attrs, err := k.attributes(fd, h.Name)
	if err != nil {
		return k.fail(h.Name, err)
	}
	h.Typeflag, h.Size, h.PAXRecords = tar.TypeReg, st.Size, attrs.kept
	if err := k.write(h); err != nil {
		return err
	}
	n, err := io.Copy(k.out, newReader(k.ctx, fd, st.Size))
	if err == nil && n < st.Size {
		err = errChanged
	}
	if err != nil {
		return k.fail(h.Name, err)
	}
	return nil
}

// A reader reads an open file to a size.
type reader struct {
	ctx  context.Context //nolint:containedctx // of the one call that reads
	fd   int
	rest int64
}

func newReader(ctx context.Context, fd int, size int64) *reader { return &reader{ctx, fd, size} }

func (r *reader) close() { unix.Close(r.fd) } // nothing was written through it

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.rest == 0 {
		return 0, io.EOF
	}
	for {
		n, err := unix.Read(r.fd, p[:min(int64(len(p)), r.rest)])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		r.rest -= int64(n)
		return n, nil
	}
}
