package prune

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// A bare root is the data root's own mount once more, without what is mounted
// on it (open_tree, Linux 5.2), where nobody else sees it.
//
// A storage driver may mount its directory on itself, as btrfs does to keep its
// mounts to itself: the same directory, and still no rename leads from one
// mount to the other. In the bare root it is below the one mount that all else
// is on.
type bareRoot struct {
	once sync.Once
	fd   int
	err  error
}

// open returns the bare root of a directory.
func (b *bareRoot) open(root int) (int, error) {
	b.once.Do(func() {
		b.fd, b.err = unix.OpenTree(root, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	})
	return b.fd, b.err
}

func (b *bareRoot) close() error {
	b.once.Do(func() { b.err = unix.EBADF })
	if b.err != nil {
		return nil
	}
	return unix.Close(b.fd)
}

// bare opens a directory in the bare root: the very one that is at the name, or
// none. What lies hidden behind another mount is never touched.
func (d *rootDisk) bare(name string) (int, error) {
	root, err := d.bareRoot.open(d.root)
	if err != nil {
		return -1, ErrOtherMount
	}
	var seen, hidden beneath.Stat
	at, err := d.calls.PathDir(d.root, name)
	if err != nil {
		return -1, err
	}
	defer unix.Close(at) // it was only looked at
	if err := d.calls.Fstat(at, &seen); err != nil {
		return -1, err
	}
	fd, err := d.calls.PathDir(root, name)
	if err != nil {
		return -1, ErrOtherMount
	}
	if err = d.calls.Fstat(fd, &hidden); err == nil && (seen.Device != hidden.Device || seen.Inode != hidden.Inode) {
		err = ErrOtherMount
	}
	if err != nil {
		unix.Close(fd) // nothing was written through it
		return -1, err
	}
	return fd, nil
}
