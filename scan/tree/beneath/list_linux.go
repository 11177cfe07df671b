package beneath

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// ListSize is a good size of the buffer for [List]: some thousand entries a
// call.
const ListSize = 64 << 10

// An Entry is one name of a directory. Its bytes lie in the buffer that it was
// read into.
type Entry struct {
	Name  []byte // a NUL follows
	Inode uint64 // of the directory that a mount covers, not of the mount
	Type  uint8  // DT_…; DT_UNKNOWN where the file system does not tell
}

// List reads the next entries of an open directory, as many as fit: the part of
// buf that [Next] takes apart. It is empty at the end.
func List(dir int, buf []byte) ([]byte, error) {
	for {
		n, err := unix.Getdents(dir, buf)
		switch err {
		case nil:
			return buf[:n], nil
		case unix.EINTR:
			continue
		}
		return nil, err
	}
}

// Next returns the first entry of what [List] read, and what follows it; "."
// and ".." are left out. It is false when there is none.
func Next(list []byte) (e Entry, rest []byte, ok bool) {
	// struct linux_dirent64: d_ino, d_off, d_reclen, d_type, d_name
	const inode, length, kind, name = 0, 16, 18, 19
	for len(list) > 0 {
		n := binary.NativeEndian.Uint16(list[length:])
		e.Inode = binary.NativeEndian.Uint64(list[inode:])
		e.Type, e.Name, list = list[kind], list[name:n], list[n:]
		e.Name = e.Name[:bytes.IndexByte(e.Name, 0)]
		if string(e.Name) != "." && string(e.Name) != ".." {
			return e, list, true
		}
	}
	return Entry{}, nil, false
}
