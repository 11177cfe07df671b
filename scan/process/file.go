package process

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A Use is how a process uses a file.
type Use uint8

// The uses.
const (
	Open       Use = iota // a descriptor
	WorkingDir            // where the relative paths of a thread begin
	RootDir               // where the absolute paths of a thread begin
	Executable
	Mapping // mapped into memory
)

// A File is a file that a process uses.
type File struct {
	Use  Use
	Path string // as the process sees it, perhaps with " (deleted)" behind; "" if it cannot be told
	Link string // leads to the file itself, whatever its path: "/proc/12/fd/3"
	Root string // leads to where the thread's absolute paths begin: "/proc/12/root"

	// Info describes the file. Of a mapping only device and inode are
	// known, the device as mount tables have it; [Describe] tells the rest.
	// Of a file that must not be asked nothing is known, and the inode is 0.
	scan.Info
}

// Key is the file's identity; its inode is 0 where it is not known.
func (f *File) Key() scan.FileKey {
	return scan.FileKey{Device: f.Stamp.Device, Inode: f.Stamp.Inode}
}

// Named is the file's path without what the kernel puts behind the path of a
// file that has been removed.
func (f *File) Named() string { return strings.TrimSuffix(f.Path, " (deleted)") }

// A Magic is the number by which the kernel knows a kind of file system
// (linux include/uapi/linux/magic.h).
type Magic uint32

// The kinds whose devices are not those of their mounts, or that have layers.
const (
	Btrfs   Magic = 0x9123683e
	Overlay Magic = 0x794c7630
)

// A mapping is one line of a maps file.
type mapping struct {
	file string // in map_files: "<start>-<end>"
	key  scan.FileKey
	path string
}

// parseMapping parses "00400000-0048a000 r-xp 00000000 fd:00 1234  /bin/sh".
// ok is false for memory that no file is behind.
func parseMapping(line string) (m mapping, ok bool, err error) {
	var fields [5]string
	rest := line
	for i := range fields {
		fields[i], rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
	}
	if fields[4] == "" {
		return mapping{}, false, errors.New("has too few fields")
	}
	if fields[4] == "0" {
		return mapping{}, false, nil
	}
	start, end, _ := strings.Cut(fields[0], "-")
	from, err1 := strconv.ParseUint(start, 16, 64)
	to, err2 := strconv.ParseUint(end, 16, 64)
	key, err3 := parseFile(fields[3] + ":" + fields[4])
	if err := errors.Join(err1, err2, err3); err != nil {
		return mapping{}, false, err
	}
	// map_files leaves out the zeros in front.
	m = mapping{fmt.Sprintf("%x-%x", from, to), key, strings.TrimLeft(rest, " ")}
	return m, true, nil
}
