package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A lock is one line of /proc/locks.
type lock struct {
	pid int // who asked for it; -1 if it belongs to the open file (OFD)
	// file is what is locked. The device is the super block's, which on
	// btrfs is not the one that stat tells.
	file scan.FileKey
}

// Locked returns the files that a process holds locks on, by the table of
// locks: with the device of the super block.
func Locked(proc string, pid int) ([]scan.FileKey, error) {
	text, err := os.ReadFile(proc + "/locks")
	if err != nil {
		return nil, err
	}
	locks, err := parseLocks(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s/locks: %w", proc, err)
	}
	var files []scan.FileKey
	for _, l := range locks {
		if l.pid == pid {
			files = append(files, l.file)
		}
	}
	return files, nil
}

// parseLocks parses /proc/locks, or the lines of a descriptor's fdinfo that
// begin with "lock:". Leases and those who wait for a lock hold none.
func parseLocks(text string) ([]lock, error) {
	var locks []lock
	for line := range strings.Lines(text) {
		l, held, err := parseLock(line)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", strings.TrimSuffix(line, "\n"), err)
		}
		if held {
			locks = append(locks, l)
		}
	}
	return locks, nil
}

// parseLock parses "1: FLOCK  ADVISORY  WRITE 1234 08:01:131090 0 EOF"; the
// device is hexadecimal, the inode is not (linux fs/locks.c, lock_get_status).
func parseLock(line string) (l lock, held bool, err error) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return lock{}, false, nil
	}
	switch fields[1] {
	case "FLOCK", "POSIX", "OFDLCK":
	default: // a lease, or "->": one that waits
		return lock{}, false, nil
	}
	if len(fields) < 6 {
		return lock{}, false, fmt.Errorf("has %d fields", len(fields))
	}
	l.pid, err = strconv.Atoi(fields[4])
	if err != nil {
		return lock{}, false, err
	}
	if strings.HasPrefix(fields[5], "<none>") {
		return lock{}, false, nil // not of a file
	}
	l.file, err = parseFile(fields[5])
	return l, err == nil, err
}

// parseFile parses "<major>:<minor>:<inode>".
func parseFile(text string) (scan.FileKey, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return scan.FileKey{}, errors.New("names no device and inode")
	}
	major, err1 := strconv.ParseUint(parts[0], 16, 32)
	minor, err2 := strconv.ParseUint(parts[1], 16, 32)
	inode, err3 := strconv.ParseUint(parts[2], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return scan.FileKey{}, err
	}
	return scan.FileKey{Device: Device(major, minor), Inode: inode}, nil
}

// Device makes one number of a device's two, as stat has it on Linux
// (gnu_dev_makedev).
func Device(major, minor uint64) uint64 {
	return major&0xfffff000<<32 | major&0xfff<<8 | minor&0xffffff00<<12 | minor&0xff
}
