package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// files reads what a process uses, by path and use.
func files(t *testing.T, r *Reader, pid int) map[Use]map[string]File {
	t.Helper()
	found := map[Use]map[string]File{}
	assert.NilError(t, r.Files(pid, func(f *File) {
		if found[f.Use] == nil {
			found[f.Use] = map[string]File{}
		}
		found[f.Use][f.Path] = *f
	}))
	return found
}

func TestFiles(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	open, gone := file(t, dir, "open file"), file(t, dir, "gone")
	pid := child(t, func(cmd *exec.Cmd) { cmd.Dir = dir }, "sh", "-c",
		`exec 7<"$1" 8<"$2"; rm "$2"; echo ready; read line`, "sh", open, gone)

	found := files(t, NewReader("/proc"), pid)
	link := "/proc/" + strconv.Itoa(pid)
	f := found[Open][open]
	assert.Equal(t, f.Link, link+"/fd/7")
	key, err := Lookup(f.Root, f.Path)
	assert.NilError(t, err)
	assert.Equal(t, f.Key(), key)
	assert.Equal(t, f.Links, uint64(1))
	removed := found[Open][gone+" (deleted)"]
	assert.Equal(t, removed.Named(), gone)
	assert.Equal(t, removed.Links, uint64(0))
	cwd := found[WorkingDir][dir]
	assert.Equal(t, cwd.Link, link+"/cwd")
	assert.Assert(t, cwd.Mode.IsDir())
	assert.Equal(t, found[RootDir]["/"].Link, link+"/root")
	program, err := os.Readlink(link + "/exe")
	assert.NilError(t, err)
	assert.Assert(t, found[Executable][program].Stamp.Inode != 0)

	mapped := found[Mapping][program]
	assert.Equal(t, mapped.Stamp.Inode, found[Executable][program].Stamp.Inode)
	info, err := Describe(mapped.Link)
	assert.NilError(t, err)
	assert.Equal(t, info.Stamp, found[Executable][program].Stamp)
}

// thread runs a function on a thread of its own, which ends with it. It is
// never the process's first, which cannot end before the others.
func thread(run func()) (ended <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // for good
		if unix.Gettid() == os.Getpid() {
			<-thread(run)
			runtime.UnlockOSThread()
		} else {
			run()
		}
		close(done)
	}()
	return done
}

// threadOf calls enter on a thread that leaves what it shares with the others,
// and keeps the thread as it is until the test ends.
func threadOf(t *testing.T, unshare int, enter func() error) int {
	t.Helper()
	type answer struct {
		tid int
		err error
	}
	answers, done := make(chan answer), make(chan struct{})
	ended := thread(func() {
		err := unix.Unshare(unshare)
		if err == nil {
			err = enter()
		}
		answers <- answer{unix.Gettid(), err}
		<-done
	})
	t.Cleanup(func() { close(done); <-ended })
	a := <-answers
	assert.NilError(t, a.err)
	return a.tid
}

func TestFilesOfThreads(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	open := file(t, dir, "open")
	tid := threadOf(t, unix.CLONE_FS|unix.CLONE_FILES, func() error {
		if err := unix.Chdir(dir); err != nil {
			return err
		}
		_, err := unix.Open(open, unix.O_RDONLY|unix.O_CLOEXEC, 0) // closed when the thread ends
		return err
	})
	for name, local := range map[string]bool{"own namespace": true, "another's": false} {
		t.Run(name, func(t *testing.T) {
			r := NewReader("/proc")
			assert.Assert(t, r.local)
			r.local = local
			found := files(t, r, os.Getpid())
			task := filepath.Join("/proc", strconv.Itoa(os.Getpid()), "task", strconv.Itoa(tid))
			assert.Equal(t, found[WorkingDir][dir].Link, task+"/cwd")
			assert.Equal(t, filepath.Dir(found[Open][open].Link), task+"/fd")
		})
	}
}

func TestFilesOfARemoteMount(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	open := file(t, dir, "open")
	pid := child(t, func(cmd *exec.Cmd) { cmd.Dir = dir }, "sh", "-c", `exec 7<"$1"; echo ready; read line`, "sh", open)
	var x unix.Statx_t
	assert.NilError(t, unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_MNT_ID, &x))

	for name, tc := range map[string]struct {
		mount int
		asked bool
	}{
		"the descriptor is on it": {int(x.Mnt_id), false},
		"the descriptor is not":   {int(x.Mnt_id) + 100000, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader("/proc")
			r.Remote = func(thread, path string) bool {
				assert.Equal(t, thread, fmt.Sprintf("/proc/%d", pid))
				return strings.HasPrefix(path, dir)
			}
			r.RemoteMounts = map[int]bool{tc.mount: true}
			found := files(t, r, pid)
			f, cwd := found[Open][open], found[WorkingDir][dir]
			assert.Equal(t, f.Path, open)
			assert.Equal(t, f.Key().Inode != 0, tc.asked)
			assert.Equal(t, cwd.Path, dir)
			assert.Equal(t, cwd.Key().Inode, uint64(0), "a directory does not tell its mount")
		})
	}
}

func TestFilesTable(t *testing.T) {
	dir := t.TempDir()
	open := file(t, dir, "open")
	proc := table(t, map[string]string{
		"12/cwd": "-> " + dir, "12/root": "-> /", "12/exe": "a file", "12/fd/3": "-> " + open, "12/fd/4": "-> socket:[12]",
		"12/fd/5": "-> mnt:[4026531840]", "12/fd/6": "-> anon_inode:[eventpoll]", "12/fd/7": "-> " + dir + "/closed",
	})
	var paths []string
	err := NewReader(proc).Files(12, func(f *File) { paths = append(paths, f.Path) })
	assert.ErrorContains(t, err, "12/exe: invalid argument", "one bad link is an error")
	assert.DeepEqual(t, paths[:2], []string{dir, "/"})
	slices.Sort(paths[2:])
	assert.DeepEqual(t, paths[2:], []string{open, "mnt:[4026531840]"}) // and the others are read all the same

	assert.NilError(t, NewReader(proc).Files(13, nil), "ended")
}

func TestSuspended(t *testing.T) {
	asleep, err := Suspended()
	assert.NilError(t, err)
	var all unix.Timespec
	assert.NilError(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &all))
	assert.Assert(t, asleep >= 0 && asleep < time.Duration(all.Nano()))
}
