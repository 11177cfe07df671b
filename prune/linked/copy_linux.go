package linked

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// Copy makes a linked copy of the tree that is at a name in a directory: at
// another name, which nothing may have yet, of a directory on the same mount.
// After an error part of it may be there. The sum is of the tree as it is once
// all of it is linked.
func Copy(ctx context.Context, from *os.File, name string, to *os.File, as string) (Sum, error) {
	return copyTree(ctx, beneath.Probe(int(from.Fd())), from, name, to, as)
}

func copyTree(ctx context.Context, calls beneath.Calls, from *os.File, name string, to *os.File, as string) (Sum, error) {
	if err := unix.Mkdirat(int(to.Fd()), as, 0o700); err != nil {
		return Sum{}, fmt.Errorf("%s: %w", beneath.Shown(as), err)
	}
	p, err := pairOf(calls, from, name, to, as)
	if err != nil {
		return Sum{}, err
	}
	defer p.close()
	c := &copier{p, Project(int(from.Fd()))}
	if err := c.check(); err != nil {
		return Sum{}, p.failed("", err)
	}
	if err := p.walk(ctx, c); err != nil {
		return Sum{}, err
	}
	return compare(ctx, calls, from, name, to, as)
}

// A copier makes the copy of a pair.
type copier struct {
	*pair
	project uint32 // of the directory that the tree lies in
}

// file links an entry: whatever stands at its name, never what a link leads to.
// If that is another one by now, comparing the two finds out.
func (c *copier) file(name []byte, _ *beneath.Stat) error {
	return impossible(unix.Linkat(c.tree.fd, string(name), c.copy.fd, string(name), 0))
}

func (c *copier) enter(name string) error {
	if err := unix.Mkdirat(c.copy.fd, name, 0o700); err != nil {
		return err
	}
	if err := c.tree.enter(name); err != nil {
		return err
	}
	if err := c.copy.enter(name); err != nil {
		return err
	}
	return c.check()
}

func (c *copier) done(int64) error { return like(c.tree.fd, c.copy.fd) }

// impossible says of those errors by which links are refused that they are.
func impossible(err error) error {
	switch err {
	case unix.EMLINK, unix.EPERM, unix.EOPNOTSUPP, unix.EXDEV, unix.ENOSYS, unix.EACCES:
		return fmt.Errorf("%w: %w", err, ErrImpossible)
	}
	return err
}

// Flags of struct fsxattr (linux/fs.h).
const (
	immutable  = 0x8  // FS_XFLAG_IMMUTABLE
	appendOnly = 0x10 // FS_XFLAG_APPEND
)

// check refuses a directory that the daemon could not empty, and one that a disk
// quota counts by a project id of its own: the copy would be counted, and could
// not be linked back. One that all of the data root has is none of its own, if
// the copy has it too.
func (c *copier) check() error {
	x, err := fsxattrOf(c.tree.fd)
	switch {
	case err != nil:
		return nil //nolint:nilerr // the file system has none of these
	case x.Project != c.project, x.Project != Project(c.copy.fd):
		return fmt.Errorf("has a disk quota by project id: %w", ErrImpossible)
	case x.Xflags&(immutable|appendOnly) != 0:
		return fmt.Errorf("is immutable or append-only: %w", ErrImpossible)
	}
	return nil
}

// Compare checks that a tree and its copy have the same names of the same
// inodes, and that the directories are alike; [ErrDiffers] if they are not. The
// sum is of the tree.
func Compare(ctx context.Context, from *os.File, name string, to *os.File, as string) (Sum, error) {
	return compare(ctx, beneath.Probe(int(from.Fd())), from, name, to, as)
}

func compare(ctx context.Context, calls beneath.Calls, from *os.File, name string, to *os.File, as string) (Sum, error) {
	p, err := pairOf(calls, from, name, to, as)
	if err != nil {
		return Sum{}, err
	}
	defer p.close()
	err = p.walk(ctx, &comparer{pair: p, buf: make([]byte, beneath.ListSize)})
	return p.sum, err
}

// Holds checks that a tree still has all that is in its copy: every name, of the
// same inode. It may have more. [ErrDiffers] if it has not.
func Holds(ctx context.Context, from *os.File, name string, to *os.File, as string) error {
	p, err := pairOf(beneath.Probe(int(from.Fd())), to, as, from, name)
	if err != nil {
		return err
	}
	defer p.close()
	return p.walk(ctx, &holder{comparer{pair: p}})
}

// A holder goes through a copy, and looks for all of it in the tree.
type holder struct{ comparer }

func (*holder) done(int64) error { return nil }

// A comparer compares a pair.
type comparer struct {
	*pair
	buf []byte
}

// file looks for an entry of the tree in the copy.
func (c *comparer) file(name []byte, st *beneath.Stat) error {
	var other beneath.Stat
	if err := c.copy.calls.Lstat(c.copy.fd, &name[0], &other); err != nil {
		return differs(err)
	}
	if other.Inode != st.Inode || other.Device != st.Device {
		return ErrDiffers
	}
	return nil
}

func (c *comparer) enter(name string) error {
	if err := c.tree.enter(name); err != nil {
		return err
	}
	return differs(c.copy.enter(name))
}

// done compares the directories themselves. That the copy has no more names than
// the tree, which has none that the copy has not, leaves no other.
func (c *comparer) done(entries int64) error {
	var count int64
	for {
		list, err := beneath.List(c.copy.fd, c.buf)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		for _, rest, ok := beneath.Next(list); ok; _, rest, ok = beneath.Next(rest) {
			count++
		}
	}
	var a, b unix.Stat_t
	if err := errors.Join(unix.Fstat(c.tree.fd, &a), unix.Fstat(c.copy.fd, &b)); err != nil {
		return err
	}
	if count != entries || a.Uid != b.Uid || a.Gid != b.Gid || a.Mode != b.Mode || a.Mtim != b.Mtim {
		return ErrDiffers
	}
	return nil
}

// differs says of the errors of a name that is not what it was that it is so.
func differs(err error) error {
	switch err {
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP:
		return ErrDiffers
	}
	return err
}
