package mount

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// seen looks for a mount point in the tables of the system.
func seen(t *testing.T, point string) []View {
	t.Helper()
	var views []View
	_, err := Read(t.Context(), "/proc", 0, func(v *View, m *mountinfo.Info) {
		if m.Mountpoint == point {
			views = append(views, *v)
		}
	})
	assert.NilError(t, err)
	return views
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

func TestReadAThreadsNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	answers, done := make(chan error), make(chan struct{})
	tid := 0
	ended := thread(func() {
		tid = unix.Gettid()
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = unix.Mount(dir, dir, "", unix.MS_BIND, "")
		}
		answers <- err
		<-done
	})
	t.Cleanup(func() { close(done); <-ended })
	assert.NilError(t, <-answers)
	views := seen(t, dir)
	assert.Equal(t, len(views), 1)
	assert.Equal(t, views[0].PID, os.Getpid())
	assert.Equal(t, views[0].File, fmt.Sprintf("/proc/%d/task/%d/mountinfo", os.Getpid(), tid))
}

// A namespace that only a mount keeps, and whose process has ended.
func TestReadAPinnedNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	// A pin must lie in an older namespace than what it pins, on a mount that
	// does not spread to it. Some kernels get the order of namespaces made on
	// different processors wrong: try again.
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", `
		mount -t tmpfs none "$1"; mount --make-private "$1"; touch "$1/pin"
		for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
			unshare --mount cat <&3 & p=$!
			while [ "$(readlink /proc/$p/ns/mnt)" = "$(readlink /proc/$$/ns/mnt)" ]; do :; done
			mount --bind "/proc/$p/ns/mnt" "$1/pin" 2>&-; pinned=$?
			kill $p; wait $p 2>&-
			if [ $pinned = 0 ]; then echo ready; read line; exit; fi
		done 3<&0
		echo refused`, "sh", t.TempDir())
	out, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	_, err = cmd.StdinPipe()
	assert.NilError(t, err)
	cmd.Stderr = os.Stderr
	assert.NilError(t, cmd.Start())
	t.Cleanup(func() {
		assert.Check(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed, and says so
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	assert.NilError(t, err)
	if line != "ready\n" {
		t.Skip("needs a kernel that lets a namespace be pinned")
	}

	_, survey := read(t, "/proc")
	var mine []Pin
	for _, p := range survey.Unseen() {
		if p.View.PID == cmd.Process.Pid {
			mine = append(mine, p)
		}
	}
	assert.Equal(t, len(mine), 1, "%v", survey.Unseen())
	assert.Assert(t, strings.HasSuffix(mine[0].Path, "/pin"))
	assert.Assert(t, strings.HasPrefix(mine[0].Namespace, "mnt:["))
}

// Not even an ended process that nobody waited for is a problem.
func TestReadAZombie(t *testing.T) {
	cmd := exec.Command("true")
	assert.NilError(t, cmd.Start())
	var info unix.Siginfo
	assert.NilError(t, unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil))
	_, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", cmd.Process.Pid))
	assert.ErrorIs(t, err, unix.EINVAL)
	_, survey := read(t, "/proc")
	for _, p := range survey.Problems {
		assert.Check(t, p.View.PID != cmd.Process.Pid, "%v", p.Err)
	}
	assert.NilError(t, cmd.Wait())
}
