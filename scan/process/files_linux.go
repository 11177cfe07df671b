package process

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A Reader reads what processes have open.
type Reader struct {
	Proc string
	// Remote reports a path at which a file system may be mounted that asks
	// another machine, as a thread sees it, whose directory in the table is
	// given. nil: there is none.
	Remote func(thread, path string) bool
	// RemoteMounts are the ids of those mounts.
	RemoteMounts map[int]bool

	local bool // the table's numbers are those that system calls take
}

// NewReader returns a reader of a process table.
func NewReader(proc string) *Reader {
	return &Reader{Proc: proc, local: local(proc)}
}

// local reports whether the table is of the caller's own process namespace:
// the kernel lists the caller's numbers from the table's namespace down to the
// caller's, so there is one.
func local(proc string) bool {
	if Self(proc) != os.Getpid() {
		return false
	}
	status, err := os.ReadFile(proc + "/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return len(strings.Fields(numbers)) == 1
		}
	}
	return false // kernels before 4.1 do not tell
}

// Files calls yield for every file that a process uses, by all of its threads:
// they can have descriptors, root and working directory of their own. A file
// may come several times. The *File is yield's only until it returns.
//
// Permission is asked for each link and not for the directory: reading it is
// another right (DAC_OVERRIDE) than following its links (PTRACE). An error
// means that some of the process's files were not seen; it is the first one.
// A process that has ended has no files.
func (r *Reader) Files(pid int, yield func(*File)) error {
	t := &task{r: r, yield: yield, seen: map[string]bool{}, dirs: map[File]bool{}}
	dir := r.Proc + "/" + strconv.Itoa(pid)
	t.thread(dir)
	t.link(File{Use: Executable, Root: dir + "/root"}, unix.AT_FDCWD, dir+"/exe", dir+"/exe")
	mapped := t.maps(dir)
	t.descriptors(dir)
	own := kinds{files: []int{pid}, dirs: []int{pid}}
	tids, err := Threads(r.Proc, pid)
	t.fail(err)
	for _, tid := range tids {
		if tid == pid {
			continue
		}
		dir := r.Proc + "/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(tid)
		if !mapped {
			mapped = t.maps(dir) // the first thread has ended, the others go on
		}
		if !r.local || !shares(&own.dirs, tid, kcmpFS) {
			t.thread(dir)
		}
		if !r.local || !shares(&own.files, tid, kcmpFiles) {
			t.descriptors(dir)
		}
	}
	return t.err
}

// What threads can share (linux include/uapi/linux/kcmp.h).
const (
	kcmpFiles = 2 // descriptors
	kcmpFS    = 3 // root and working directory
)

// kinds are the threads that were read for each: one of all that share it.
type kinds struct{ files, dirs []int }

// shares reports whether a thread shares with the first thread of a list, or
// the last, and adds it if not. Any mistake costs only time.
func shares(read *[]int, tid int, what uintptr) bool {
	for _, other := range []int{(*read)[0], (*read)[len(*read)-1]} {
		order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(other), uintptr(tid), what, 0, 0, 0)
		if errno == 0 && order == 0 {
			return true
		}
	}
	*read = append(*read, tid)
	return false
}

// A task is the reading of one process.
type task struct {
	r     *Reader
	yield func(*File)
	seen  map[string]bool // descriptors by number and path, where tables cannot be told apart
	dirs  map[File]bool   // working and root directories, of many threads the same
	err   error
}

// fail records the first thing that could not be read.
func (t *task) fail(err error) {
	if err != nil && t.err == nil && !Gone(err) {
		t.err = err
	}
}

// thread reads what each thread has of its own.
func (t *task) thread(dir string) {
	t.link(File{Use: WorkingDir, Root: dir + "/root"}, unix.AT_FDCWD, dir+"/cwd", dir+"/cwd")
	t.link(File{Use: RootDir, Root: dir + "/root"}, unix.AT_FDCWD, dir+"/root", dir+"/root")
}

// descriptors reads a table of descriptors.
func (t *task) descriptors(dir string) {
	f, err := os.Open(dir + "/fd")
	if err != nil {
		t.fail(err)
		return
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	t.fail(err)
	for _, name := range names {
		t.link(File{Use: Open, Root: dir + "/root"}, int(f.Fd()), name, dir+"/fd/"+name)
	}
}

// link reads one link, whose name begins at the directory at. What has no path
// (a socket, a pipe) is no file, but a descriptor of a namespace is passed on.
func (t *task) link(f File, at int, name, full string) {
	path, err := readlinkat(at, name)
	switch {
	case errors.Is(err, unix.ENAMETOOLONG):
		// The path is longer than the kernel tells. The file can still be
		// described.
	case err != nil:
		t.fail(&os.PathError{Op: "readlink", Path: full, Err: err})
		return
	case strings.HasPrefix(path, "mnt:["):
		f.Path, f.Link = path, full
		t.yield(&f)
		return
	case strings.IndexByte(path, '/') < 0:
		return
	}
	if f.Use == Open && !t.r.local {
		key := name + " " + path
		if t.seen[key] {
			return
		}
		t.seen[key] = true
	}
	f.Path, f.Link = path, full
	if !t.r.silent(&f) {
		f.Info, err = describe(at, name)
		if err != nil {
			t.fail(&os.PathError{Op: "stat", Path: full, Err: err})
			return
		}
	}
	if f.Use == WorkingDir || f.Use == RootDir {
		key := File{Use: f.Use, Path: f.Path, Info: f.Info}
		if t.dirs[key] {
			return
		}
		t.dirs[key] = true
	}
	t.yield(&f)
}

// silent reports a file that must not be described, as it may be on a file
// system that does not answer. A descriptor tells which mount it is on.
func (r *Reader) silent(f *File) bool {
	if r.Remote == nil || !r.Remote(strings.TrimSuffix(f.Root, "/root"), f.Path) {
		return false
	}
	if f.Use != Open {
		return true
	}
	dir, number, _ := strings.Cut(f.Link, "/fd/")
	data, err := os.ReadFile(dir + "/fdinfo/" + number)
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			id, err := strconv.Atoi(strings.TrimSpace(text))
			return err != nil || r.RemoteMounts[id]
		}
	}
	return true // kernels before 3.15 do not tell
}

// maps reads what is mapped into memory. It reports false if the thread has no
// memory any more.
func (t *task) maps(dir string) bool {
	data, err := os.ReadFile(dir + "/maps")
	if err != nil {
		t.fail(err)
		return !Gone(err)
	}
	last := mapping{}
	for line := range strings.Lines(string(data)) {
		m, ok, err := parseMapping(strings.TrimSuffix(line, "\n"))
		if err != nil {
			t.fail(&os.PathError{Op: "parse", Path: dir + "/maps", Err: err})
		}
		if !ok || m.key == last.key && m.path == last.path {
			continue
		}
		last = m
		f := File{Use: Mapping, Path: m.path, Link: dir + "/map_files/" + m.file, Root: dir + "/root"}
		f.Stamp.Device, f.Stamp.Inode = m.key.Device, m.key.Inode
		t.yield(&f)
	}
	return len(data) > 0
}

// Describe describes the file that a link of the process table leads to.
func Describe(link string) (scan.Info, error) { return describe(unix.AT_FDCWD, link) }
