package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
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
	lost   []string          // names of those that an archive does not have
}

// attributes reads those of an open file.
func (k *walk) attributes(fd int, name string) (attributes, error) {
	var a attributes
	marks := k.form.marks
	if marks == nil {
		marks = func(string) (attribute, error) { return anyones, nil }
	}
	err := a.readAll(fd, marks)
	for _, lost := range a.lost {
		k.leave(name, "its attribute "+lost)
	}
	return a, err
}

// An attribute is what one is to us.
type attribute uint8

const (
	anyones  attribute = iota // not the driver's
	isOpaque                  // the driver's mark of an opaque directory
	ignored                   // the driver's, of no use elsewhere
)

// overlayOwn says what an attribute is to the kernel's overlay here.
func overlayOwn(name string) (attribute, error) { return kernelsOwn(withinNamespace())(name) }

// kernelsOwn says what an attribute is to the kernel's overlay (fs/overlayfs):
// its own are trusted ones, and within a user namespace, where nobody has those,
// ones of users. Any others are of programs in the container, which may have
// set what they liked.
func kernelsOwn(withinNamespace bool) func(name string) (attribute, error) {
	prefix := "trusted.overlay."
	if withinNamespace {
		prefix = "user.overlay."
	}
	return func(name string) (attribute, error) { return markOf(name, prefix) }
}

// fuseOwn says what an attribute is to fuse-overlayfs (main.c), which heeds
// those of the kernel too.
func fuseOwn(name string) (attribute, error) {
	if name == "user.containers.override_stat" {
		return ignored, fmt.Errorf("has %s: its owner is kept there, and an image cannot say so", name)
	}
	return markOf(name, "trusted.overlay.", "user.overlay.", "user.fuseoverlayfs.")
}

// markOf says what an attribute is to a driver whose own begin so. One without
// which the file cannot be told is an error.
func markOf(name string, prefixes ...string) (attribute, error) {
	for _, prefix := range prefixes {
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
	return anyones, nil
}

// withinNamespace reports whether we are in another user namespace than the
// machine's first, as a rootless daemon is: that alone has all ids, as they are.
// A rootless data root that is seen from outside is refused: see ownersOf.
var withinNamespace = sync.OnceValue(func() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(text)), " ") != "0 0 4294967295"
})

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
		if is == ignored {
			continue
		}
		if is == anyones && !lasting(name) {
			if !labelled(name) {
				a.lost = append(a.lost, name)
			}
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

// labelled reports whether an attribute is one that the machine's kernel gives to
// files by itself, as a security module of its.
func labelled(name string) bool {
	switch name {
	case "security.selinux", "security.ima", "security.evm", "security.apparmor":
		return true
	}
	return strings.HasPrefix(name, "security.SMACK64")
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
