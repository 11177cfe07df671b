package mount

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

// seen looks for a mount point in the tables of the system, and lists each view
// once.
func seen(t *testing.T, point string) []View {
	t.Helper()
	var views []View
	_, err := Read(t.Context(), "/proc", 0, func(v *View, m *mountinfo.Info) {
		if m.Mountpoint == point && !slices.Contains(views, *v) {
			views = append(views, *v)
		}
	})
	assert.NilError(t, err)
	return views
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
