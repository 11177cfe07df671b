package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// header describes a file but for its type.
func (k *walk) header(name string, st *unix.Stat_t) (*tar.Header, error) {
	uid, gid, err := k.owners.inContainer(st)
	if err != nil {
		return nil, k.fail(name, err)
	}
	return &tar.Header{
		Name: name, Mode: int64(st.Mode & 0o7777), Uid: uid, Gid: gid,
		ModTime: time.Unix(st.Mtim.Unix()), Format: tar.FormatPAX,
	}, nil
}

// readlink reads a symbolic link of a directory.
func readlink(dir int, base string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, base, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// attributes are the extended attributes of a file.
type attributes struct {
	kept   map[string]string // as an archive has them
	opaque bool              // a directory that hides what is below
}

// attributes reads those of an open file.
func (k *walk) attributes(fd int) (attributes, error) {
	var a attributes
	marks := k.form.marks
	if marks == nil {
		marks = func(string) (attribute, error) { return anyones, nil }
	}
	return a, a.readAll(fd, marks)
}

// An attribute is what one is to us.
type attribute uint8

const (
	anyones  attribute = iota // not the driver's
	isOpaque                  // the driver's mark of an opaque directory
	ignored                   // the driver's, of no use elsewhere
)

// overlays says what an attribute is to overlay drivers. One without which the
// file cannot be told is an error (kernel fs/overlayfs, fuse-overlayfs main.c).
func overlays(name string) (attribute, error) {
	for _, prefix := range []string{"trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."} {
		key, ok := strings.CutPrefix(name, prefix)
		switch {
		case !ok:
			continue
		case key == "opaque":
			return isOpaque, nil
		case key == "redirect" || key == "metacopy" || key == "override_stat" || key == "whiteout":
			return ignored, fmt.Errorf("has %s: part of it is kept elsewhere, and an image cannot say so", name)
		}
		return ignored, nil
	}
	if name == "user.containers.override_stat" {
		return ignored, fmt.Errorf("has %s: its owner is kept there, and an image cannot say so", name)
	}
	return anyones, nil
}

// readAll reads what an archive keeps: what users and their programs set.
func (a *attributes) readAll(fd int, what func(name string) (attribute, error)) error {
	names, err := listAttributes(fd)
	if err != nil {
		return err
	}
	for _, name := range names {
		is, err := what(name)
		if err != nil {
			return err
		}
		if is == ignored || is == anyones && !lasting(name) {
			continue
		}
		value, err := getAttribute(fd, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if is == isOpaque {
			a.opaque = a.opaque || string(value) == "y"
			continue
		}
		if a.kept == nil {
			a.kept = map[string]string{}
		}
		a.kept["SCHILY.xattr."+name] = string(value)
	}
	return nil
}

// lasting reports whether an attribute belongs to a file wherever it is.
func lasting(name string) bool {
	return strings.HasPrefix(name, "user.") || name == "security.capability" || strings.HasPrefix(name, "system.posix_acl_")
}

func listAttributes(fd int) ([]string, error) {
	buf := make([]byte, 64<<10) // the kernel's own limit (XATTR_LIST_MAX)
	n, err := unix.Flistxattr(fd, buf)
	if errors.Is(err, unix.ENOTSUP) || n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00"), nil
}

func getAttribute(fd int, name string) ([]byte, error) {
	n, err := unix.Fgetxattr(fd, name, nil)
	if err != nil || n == 0 {
		return nil, err
	}
	value := make([]byte, n)
	n, err = unix.Fgetxattr(fd, name, value)
	return value[:max(n, 0)], err
}
