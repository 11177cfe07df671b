package mount

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"
)

// pinNamespace pins a mount namespace at "pin" in a directory and ends its only
// process, which mounted something at /mnt. It returns the process through
// which the pin is seen: the directory is mounted in its namespace only. A
// script that it runs then goes on with $1, the directory.
//
// A pin must lie in an older namespace than what it pins, on a mount that does
// not spread to it. Some kernels get the order of namespaces made on different
// processors wrong: it tries each.
func pinNamespace(t *testing.T, script string) (pid int, pin string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", `
		mount -t tmpfs none "$1"; mount --make-private "$1"; touch "$1/pin"
		for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
			if taskset -c $((try % $(nproc))) unshare --mount="$1/pin" --propagation private mount -t tmpfs pinned /mnt 2>&-; then
				`+script+`
				echo ready; read line; exit
			fi
		done
		echo refused`, "sh", dir)
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
	return cmd.Process.Pid, dir + "/pin"
}

// pinsOf are those that are seen through a process.
func pinsOf(s *Survey, pid int) []Pin {
	var mine []Pin
	for _, p := range s.Pins {
		if p.View.PID == pid {
			mine = append(mine, p)
		}
	}
	return mine
}

// unmoved checks that every thread of ours is where the process is, once those
// that went elsewhere have ended.
func unmoved(t *testing.T, home string) {
	t.Helper()
	runtime.GC()
	now, err := os.Readlink("/proc/self/ns/mnt")
	assert.NilError(t, err)
	assert.Equal(t, now, home)
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		links, err := filepath.Glob("/proc/self/task/*/ns/mnt")
		if err != nil {
			return poll.Error(err)
		}
		for _, link := range links {
			namespace, err := os.Readlink(link)
			if err == nil && namespace != home {
				return poll.Continue("%s is %s", link, namespace)
			}
		}
		return poll.Success()
	})
}

// A namespace that only a mount keeps, and whose process has ended.
func TestReadAPinnedNamespace(t *testing.T) {
	home, err := os.Readlink("/proc/self/ns/mnt")
	assert.NilError(t, err)
	pid, pin := pinNamespace(t, "")
	seen := map[string]bool{}
	var view View
	survey, err := Read(t.Context(), "/proc", 0, func(v *View, m *mountinfo.Info) {
		if v.PID == pid && v.Pin != "" {
			seen[m.Mountpoint+" "+m.Source], view = true, *v
		}
	})
	assert.NilError(t, err)
	pins := pinsOf(survey, pid)
	assert.Assert(t, len(pins) > 0)
	assert.Equal(t, pins[0].Path, pin)
	assert.Assert(t, survey.Namespaces[pins[0].Namespace])
	for _, p := range survey.Unseen() {
		assert.Check(t, p.Namespace != pins[0].Namespace)
	}
	assert.Assert(t, seen["/mnt pinned"], "%v", seen)
	assert.Equal(t, view, View{
		PID: pid, Name: "sh", File: fmt.Sprintf("/proc/%d/root%s", pid, pin), Namespace: pins[0].Namespace, Pin: pin,
	})
	unmoved(t, home)
}

// What lies over a pin is neither opened for reading nor entered.
func TestReadACoveredPin(t *testing.T) {
	for name, script := range map[string]string{
		"by a device":             `mount --bind /dev/null "$1/pin"`,
		"by a pipe":               `mkfifo "$1/pipe"; mount --bind "$1/pipe" "$1/pin"`,
		"by another namespace":    `mount --bind /proc/$$/ns/net "$1/pin"`,
		"and the directory moved": `mount -t tmpfs none "$1"`,
	} {
		t.Run(name, func(t *testing.T) {
			pid, _ := pinNamespace(t, script)
			survey, err := Read(t.Context(), "/proc", 0, func(v *View, m *mountinfo.Info) {
				assert.Check(t, v.PID != pid || v.Pin == "", "%s", m.Mountpoint)
			})
			assert.NilError(t, err)
			pins := pinsOf(survey, pid)
			assert.Assert(t, len(pins) > 0)
			assert.Assert(t, !survey.Namespaces[pins[0].Namespace])
			if name == "and the directory moved" {
				assert.ErrorIs(t, pins[0].Err, fs.ErrNotExist)
			} else {
				assert.ErrorContains(t, pins[0].Err, "is no longer "+pins[0].Namespace)
			}
		})
	}
}

// Without the rights a pin stays unseen, and says why.
func TestReadAPinWithoutTheRights(t *testing.T) {
	const name = "MOUNT_TEST_PIN"
	if file := os.Getenv(name); file != "" {
		namespace, ok := NamespaceAt(file)
		assert.Assert(t, ok)
		s := &Survey{Namespaces: map[string]bool{}, Pins: []Pin{{Namespace: namespace, Path: file, View: View{File: file}}}}
		err := s.ReadPinned(t.Context(), "/proc", func(*View, *mountinfo.Info) { t.Error("it has no mounts") })
		assert.NilError(t, err)
		assert.Equal(t, len(s.Unseen()), 1)
		assert.ErrorContains(t, s.Unseen()[0].Err, "setns: ")
		assert.ErrorIs(t, s.Unseen()[0].Err, fs.ErrPermission)
		return
	}
	pid, _ := pinNamespace(t, `exec 9<"$1/pin"`)
	cmd := exec.Command("setpriv", "--bounding-set=-sys_chroot", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=/proc/%d/fd/9", name, pid))
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("needs setpriv")
	}
	assert.NilError(t, err, "%s", out)
	assert.Assert(t, strings.Contains(string(out), "--- PASS: "+t.Name()), "%s", out)
}

// What a descriptor leads to is told by what it is, not by its path.
func TestNamespaceAt(t *testing.T) {
	pid, _ := pinNamespace(t, `touch "$1/net" "$1/file"; mount --bind /proc/$$/ns/net "$1/net"
		exec 9<"$1/pin" 8<"$1/net" 7<"$1/file" 6</proc/$$/ns/mnt; umount -l "$1"`)
	home, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	assert.NilError(t, err)
	for fd, want := range map[int]bool{9: true, 8: false, 7: false, 6: true, 5: false} {
		namespace, ok := NamespaceAt(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		assert.Equal(t, ok, want, "%d", fd)
		assert.Equal(t, namespace == home, fd == 6, "%s", namespace)
	}
}

// A pin in a namespace that was entered itself leads nowhere from here.
func TestReadAPinInAPinned(t *testing.T) {
	pin := Pin{Namespace: "mnt:[1]", Path: "/b", View: View{File: "/proc/1/root/a", Pin: "/a"}}
	s := &Survey{Namespaces: map[string]bool{}, Pins: []Pin{pin}}
	assert.NilError(t, s.ReadPinned(t.Context(), "/proc", func(*View, *mountinfo.Info) { t.Error("it has no mounts") }))
	assert.ErrorContains(t, s.Unseen()[0].Err, "inside of another namespace")
}

// However often it is asked for, no thread outlives its function, and the
// process's first is never it.
func TestThread(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	home, err := os.Readlink("/proc/self/ns/mnt")
	assert.NilError(t, err)
	// As many at once take every thread that is idle, the first among them.
	release := make(chan struct{})
	var all []<-chan struct{}
	for range 50 {
		all = append(all, thread(func() {
			assert.Check(t, unix.Gettid() != os.Getpid())
			assert.Check(t, unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS))
			<-release
		}))
	}
	close(release)
	for _, done := range all {
		<-done
	}
	unmoved(t, home)
}
