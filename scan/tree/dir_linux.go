package tree

import (
	"cmp"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// ReadDir implements [scan.Tree].
func (d *Disk) ReadDir(name string) ([]scan.Entry, error) {
	fd, err := d.calls.Dir(d.root, name)
	if err != nil {
		return nil, fail(name, err)
	}
	entries, err := d.list(fd, name)
	d.dirs.keep(name, fd, len(entries))
	return entries, err
}

// list reads a whole directory.
func (d *Disk) list(fd int, name string) ([]scan.Entry, error) {
	buf := d.lists.Get().(*[beneath.ListSize]byte)
	defer d.lists.Put(buf)
	var entries []scan.Entry
	for {
		list, err := beneath.List(fd, buf[:])
		if err != nil {
			return nil, fail(name, err)
		}
		if len(list) == 0 {
			slices.SortFunc(entries, func(a, b scan.Entry) int { return cmp.Compare(a.Name, b.Name) })
			return entries, nil
		}
		if entries, err = d.add(entries, fd, list); err != nil {
			return nil, fail(name, err)
		}
	}
}

// add appends the entries of one part of a directory.
func (d *Disk) add(entries []scan.Entry, dir int, list []byte) ([]scan.Entry, error) {
	for {
		e, rest, ok := beneath.Next(list)
		if !ok {
			return entries, nil
		}
		list = rest
		kind, known := typeOf(e.Type)
		if !known {
			var st beneath.Stat
			err := d.calls.Lstat(dir, &e.Name[0], &st)
			if err == unix.ENOENT {
				continue // gone since the kernel listed it
			}
			if err != nil {
				return nil, err
			}
			kind = mode(st.Mode).Type()
		}
		entries = append(entries, scan.Entry{Name: string(e.Name), Type: kind})
	}
}

// typeOf translates a d_type. File systems without types in directories (ext4
// without filetype, some of FUSE) say DT_UNKNOWN.
func typeOf(kind uint8) (_ fs.FileMode, known bool) {
	switch kind {
	case unix.DT_REG:
		return 0, true
	case unix.DT_DIR:
		return fs.ModeDir, true
	case unix.DT_LNK:
		return fs.ModeSymlink, true
	case unix.DT_FIFO:
		return fs.ModeNamedPipe, true
	case unix.DT_SOCK:
		return fs.ModeSocket, true
	case unix.DT_BLK:
		return fs.ModeDevice, true
	case unix.DT_CHR:
		return fs.ModeDevice | fs.ModeCharDevice, true
	}
	return 0, false
}
