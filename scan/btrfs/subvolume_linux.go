package btrfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Top is the inode of the top directory of every subvolume
// (BTRFS_FIRST_FREE_OBJECTID).
const Top = 256

// A Subvolume is what the kernel says of one.
type Subvolume struct {
	ID   uint64
	Made time.Time // zero: it does not tell
}

// Of describes the subvolume whose top an open directory is. It is false for
// any other directory, and on other file systems. An error means that a
// subvolume could not be told.
func Of(dir int) (s Subvolume, ok bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil || st.Ino != Top || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return Subvolume{}, false, err
	}
	if is, err := on(dir); err != nil || !is {
		return Subvolume{}, false, err
	}
	s, err = info(dir)
	if errors.Is(err, unix.ENOTTY) { // before 4.18
		s, err = item(dir)
	}
	return s, err == nil, err
}

// on reports whether an open file is on a btrfs.
func on(fd int) (bool, error) {
	var fs unix.Statfs_t
	err := unix.Fstatfs(fd, &fs)
	return err == nil && uint32(fs.Type) == unix.BTRFS_SUPER_MAGIC, err
}

// Stub is the inode of what stands in a snapshot where its origin has another
// subvolume in it (BTRFS_EMPTY_SUBVOL_DIR_OBJECTID).
const Stub = 2

// IsStub reports whether an open directory with that inode is such: empty, and
// with times that say when the kernel last came to read it.
func IsStub(dir int) bool {
	is, err := on(dir)
	return err == nil && is
}

// Requests of linux/btrfs.h.
const (
	getSubvolInfo = 0x81f8943c // BTRFS_IOC_GET_SUBVOL_INFO: 4.18
	inoLookup     = 0xd0009412 // BTRFS_IOC_INO_LOOKUP
	treeSearch    = 0xd0009411 // BTRFS_IOC_TREE_SEARCH: asks for CAP_SYS_ADMIN
)

// Ioctl makes a request of linux/btrfs.h on an open file, again where a signal
// interrupted it.
func Ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return errno
	}
}

// subvolInfo is struct btrfs_ioctl_get_subvol_info_args.
type subvolInfo struct {
	Tree          uint64
	_             [256]byte // name
	_, _, _, _    uint64    // parent, directory, generation, flags
	_, _, _       [16]byte  // UUIDs
	_, _, _, _    uint64    // transactions
	_, Made, _, _ timespec  // changed, made, sent, received
	_             [8]uint64
}

// timespec is struct btrfs_ioctl_timespec.
type timespec struct {
	Sec  uint64
	Nsec uint32
	_    uint32
}

// made is a time as a subvolume has it; one that has none is not told.
func made(sec uint64, nsec uint32) time.Time {
	if sec == 0 {
		return time.Time{}
	}
	return time.Unix(int64(sec), int64(nsec)).UTC()
}

// info asks for a subvolume by its own request.
func info(dir int) (Subvolume, error) {
	var arg subvolInfo
	if err := Ioctl(dir, getSubvolInfo, unsafe.Pointer(&arg)); err != nil {
		return Subvolume{}, err
	}
	return Subvolume{ID: arg.Tree, Made: made(arg.Made.Sec, arg.Made.Nsec)}, nil
}

// item looks a subvolume's root item up in the tree of all roots.
func item(dir int) (Subvolume, error) {
	var lookup struct {
		Tree, Object uint64
		_            [4080]byte
	}
	lookup.Object = Top
	if err := Ioctl(dir, inoLookup, unsafe.Pointer(&lookup)); err != nil {
		return Subvolume{}, err
	}
	s := Subvolume{ID: lookup.Tree}
	const rootTree, rootItem = 1, 132
	data, err := find(dir, rootTree, s.ID, rootItem, 0, ^uint64(0))
	if err != nil {
		return s, nil // when it was made is not told
	}
	// struct btrfs_root_item: its second half, with the times, is of Linux 3.6
	// and valid only if the kernel that wrote it last knew it.
	const generation, generationV2, otime, length = 160, 239, 339, 351
	if len(data) >= length && le.Uint64(data[generation:]) == le.Uint64(data[generationV2:]) {
		s.Made = made(le.Uint64(data[otime:]), le.Uint32(data[otime+8:]))
	}
	return s, nil
}

var le = binary.LittleEndian // what is on the disk

// search is struct btrfs_ioctl_search_args.
type search struct {
	Tree                 uint64
	MinObject, MaxObject uint64
	MinOffset, MaxOffset uint64
	_, MaxTransaction    uint64
	MinType, MaxType     uint32
	Items                uint32
	_                    uint32
	_                    [4]uint64
	Result               [3992]byte
}

// find returns the first item of an object of a tree that has the type and an
// offset between the two; nil if there is none.
func find(fd int, tree, object uint64, kind uint32, from, to uint64) ([]byte, error) {
	arg := search{
		Tree: tree, MinObject: object, MaxObject: object, MinOffset: from, MaxOffset: to,
		MaxTransaction: ^uint64(0), MinType: kind, MaxType: kind, Items: 1,
	}
	if err := Ioctl(fd, treeSearch, unsafe.Pointer(&arg)); err != nil || arg.Items == 0 {
		return nil, err
	}
	// struct btrfs_ioctl_search_header: transaction, object, offset, type, length
	const header, length = 32, 28
	n := binary.NativeEndian.Uint32(arg.Result[length:])
	if int(n) > len(arg.Result)-header {
		return nil, fmt.Errorf("an item of %d bytes", n)
	}
	return arg.Result[header : header+n], nil
}
