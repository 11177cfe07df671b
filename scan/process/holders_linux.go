package process

import (
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A Holder is a process that has a file open.
type Holder struct {
	PID     int
	Path    string // of the file, as the process sees it
	Removed bool   // the file has no name any more
	Key     scan.FileKey
}

// Holders lists the processes that have a file open whose path ends in these
// elements: once for each process and file, by their numbers. An error is that
// of a process whose descriptors cannot be seen: others were listed all the same.
func Holders(proc, end string) ([]Holder, error) {
	pids, err := List(proc)
	if err != nil {
		return nil, err
	}
	var holders []Holder
	var problem error
	for _, pid := range pids {
		found, err := holdersOf(proc+"/"+strconv.Itoa(pid)+"/fd", pid, "/"+end)
		if err != nil && !Gone(err) && problem == nil {
			problem = err
		}
		holders = append(holders, found...)
	}
	return holders, problem
}

func holdersOf(dir string, pid int, end string) ([]Holder, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var holders []Holder
	seen := map[scan.FileKey]bool{}
	for _, name := range names {
		link, err := readlinkat(int(f.Fd()), name)
		if err != nil && !Gone(err) {
			return holders, &fs.PathError{Op: "readlink", Path: dir + "/" + name, Err: err}
		}
		path, removed := strings.CutSuffix(link, " (deleted)")
		if err != nil || !strings.HasSuffix(path, end) {
			continue
		}
		info, err := describe(int(f.Fd()), name)
		key := scan.FileKey{Device: info.Stamp.Device, Inode: info.Stamp.Inode}
		switch {
		case err == unix.ENOENT: //nolint:errorlint // of a system call: closed since it was listed
		case err != nil:
			return holders, &fs.PathError{Op: "stat", Path: dir + "/" + name, Err: err}
		case !seen[key]:
			seen[key] = true
			holders = append(holders, Holder{PID: pid, Path: path, Removed: removed, Key: key})
		}
	}
	return holders, nil
}
