package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Owner returns the process that holds a lock on one of the data root's files,
// which are given as absolute paths; nil if none of them is locked by anybody
// but the caller. The daemon locks its databases for as long as it runs, which
// no socket, pid file or name proves as well.
//
// A holder is one that has the very file open, by device and inode, whenever
// its descriptors can be read; the table of locks only says whose to read. An
// error means that nobody can tell: a file that cannot be described, no table
// of locks, a likely holder whose descriptors are refused, or two holders.
func Owner(proc, root string, files ...string) (*scan.Process, error) {
	o := owner{proc: proc, self: Self(proc), files: map[scan.FileKey]string{}}
	for _, file := range files {
		info, err := stat(unix.AT_FDCWD, file, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "stat", Path: file, Err: err}
		}
		o.files[scan.FileKey{Device: info.Stamp.Device, Inode: info.Stamp.Inode}] = path.Base(file)
	}
	if len(o.files) == 0 {
		return nil, nil
	}
	text, err := os.ReadFile(proc + "/locks")
	if err != nil {
		return nil, err
	}
	if o.locks, err = parseLocks(string(text)); err != nil {
		return nil, fmt.Errorf("%s/locks: %w", proc, err)
	}
	pids := o.listed()
	if len(pids) == 0 {
		if pids, err = o.unlisted(); err != nil {
			return nil, err
		}
	}
	switch len(pids) {
	case 0:
		return nil, nil
	case 1:
		return Find(proc, pids[0])
	}
	return nil, fmt.Errorf("%s: two processes hold locks of it: %s (pid %d) and %s (pid %d)",
		root, Name(proc, pids[0]), pids[0], Name(proc, pids[1]), pids[1])
}

type owner struct {
	proc  string
	self  int
	files map[scan.FileKey]string // base names
	locks []lock
}

// listed returns the holders that the table of locks names by device and
// inode.
func (o *owner) listed() []int {
	var holders []int
	asked := map[int]bool{o.self: true}
	for _, l := range o.locks {
		if _, ok := o.files[l.file]; !ok || l.pid <= 0 || asked[l.pid] {
			continue
		}
		asked[l.pid] = true
		found, err := o.open(l.pid)
		if err != nil || len(found) > 0 {
			holders = append(holders, l.pid) // refused: the table alone must do
		}
	}
	return holders
}

// unlisted looks for holders in the descriptors of all processes: on btrfs
// the table of locks has another device than stat, and the lock of a process
// that a fork outlived is listed under a number that is gone.
func (o *owner) unlisted() ([]int, error) {
	pids, err := List(o.proc)
	if err != nil {
		return nil, err
	}
	var holders []int
	for _, pid := range pids {
		if pid == o.self {
			continue
		}
		found, err := o.open(pid)
		if err != nil && o.suspected(pid) {
			return nil, fmt.Errorf("%s (pid %d) may hold the lock: %w", Name(o.proc, pid), pid, err)
		}
		for fd, key := range found {
			if o.locked(pid, fd, key) {
				holders = append(holders, pid)
				break
			}
		}
	}
	return holders, nil
}

// suspected reports whether the table of locks has one of the process on any
// file with the inode of one of ours.
func (o *owner) suspected(pid int) bool {
	for key := range o.files {
		if o.hasLock(pid, key.Inode) {
			return true
		}
	}
	return false
}

func (o *owner) hasLock(pid int, inode uint64) bool {
	for _, l := range o.locks {
		if l.pid == pid && l.file.Inode == inode {
			return true
		}
	}
	return false
}

// open returns the descriptors of a process that are open on the files. Only
// files of the same base name are described, so as to ask no file system that
// does not answer.
func (o *owner) open(pid int) (map[string]scan.FileKey, error) {
	dir, err := os.Open(o.proc + "/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		return nil, alive(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, alive(err)
	}
	found := map[string]scan.FileKey{}
	for _, name := range names {
		key, err := o.key(int(dir.Fd()), name)
		if err := alive(err); err != nil {
			return nil, &fs.PathError{Op: "read", Path: dir.Name() + "/" + name, Err: err}
		}
		if _, ok := o.files[key]; ok {
			found[name] = key
		}
	}
	return found, nil
}

// key identifies the file of a descriptor, if its name is one of ours.
func (o *owner) key(dir int, fd string) (scan.FileKey, error) {
	link, err := readlinkat(dir, fd)
	if err != nil || !o.named(path.Base(link)) {
		return scan.FileKey{}, err
	}
	info, err := describe(dir, fd)
	return scan.FileKey{Device: info.Stamp.Device, Inode: info.Stamp.Inode}, err
}

func (o *owner) named(base string) bool {
	for _, name := range o.files {
		if name == base {
			return true
		}
	}
	return false
}

// alive drops the error of a process that has ended.
func alive(err error) error {
	if Gone(err) {
		return nil
	}
	return err
}

// locked reports whether a process holds a lock through a descriptor that is
// open on one of the files. A child between fork and exec has its parent's
// descriptors, and the lock in them is its parent's.
func (o *owner) locked(pid int, fd string, key scan.FileKey) bool {
	if o.hasLock(pid, key.Inode) {
		return true // kernels before 4.1 have no locks in fdinfo
	}
	text, err := os.ReadFile(o.proc + "/" + strconv.Itoa(pid) + "/fdinfo/" + fd)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, "lock:")
		if !ok {
			continue
		}
		l, held, err := parseLock(rest)
		if err == nil && held && (l.pid == pid || !o.runs(l.pid)) {
			return true
		}
	}
	return false
}

func (o *owner) runs(pid int) bool {
	_, err := os.Stat(o.proc + "/" + strconv.Itoa(pid))
	return pid > 0 && err == nil
}
