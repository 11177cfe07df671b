package mount

import (
	"bufio"
	"context"
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

// table makes a process table of files and links.
func table(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			assert.NilError(t, os.Symlink(target, path))
			continue
		}
		assert.NilError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

// at is a line of a mount table.
func at(point string) string {
	return "36 35 8:1 /root " + point + " rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
}

// read lists what was passed on: mount point, and by whom it is seen.
func read(t *testing.T, proc string) ([]string, *Survey) {
	t.Helper()
	var mounts []string
	survey, err := Read(t.Context(), proc, func(v *View, m *mountinfo.Info) {
		file, err := filepath.Rel(proc, v.File)
		assert.NilError(t, err)
		mounts = append(mounts, fmt.Sprintf("%s %s (%d) %s", m.Mountpoint, v.Name, v.PID, file))
	})
	assert.NilError(t, err)
	return mounts, survey
}

func TestRead(t *testing.T) {
	proc := table(t, map[string]string{
		"1/comm": "init\n", "1/mountinfo": at("/a") + at("/b"), "1/ns/mnt": "-> mnt:[10]", "1/root": "-> /",
		// The same namespace and root: not read again.
		"20/comm": "sh\n", "20/mountinfo": at("/never"), "20/ns/mnt": "-> mnt:[10]", "20/root": "-> /",
		// The same namespace, another root.
		"30/comm": "jail\n", "30/mountinfo": at("/c"), "30/ns/mnt": "-> mnt:[10]", "30/root": "-> /jail",
		// A thread with a namespace of its own.
		"40/comm": "docker\x1bd\n", "40/mountinfo": at("/never"), "40/ns/mnt": "-> mnt:[10]", "40/root": "-> /",
		"40/task/40/mountinfo": "not read: it is the process itself", "40/task/40/ns/mnt": "-> mnt:[11]",
		"40/task/41/mountinfo": at(`/d\040e`), "40/task/41/ns/mnt": "-> mnt:[12]", "40/task/41/root": "-> /",
		"40/task/42/mountinfo": at("/never"), "40/task/42/ns/mnt": "-> mnt:[10]", "40/task/42/root": "-> /",
		// Two whose namespace cannot be read, with the same mounts, and one with others.
		"50/comm": "x\n", "50/mountinfo": at("/f"),
		"51/comm": "y\n", "51/mountinfo": at("/f"),
		"52/comm": "z\n", "52/mountinfo": at("/g"), "52/ns/mnt": "-> mnt:[13]",
		// The first thread of a view has ended, the second tells.
		"60/comm": "w\n", "60/ns/mnt": "-> mnt:[14]", "60/root": "-> /",
		"61/comm": "w\n", "61/ns/mnt": "-> mnt:[14]", "61/root": "-> /", "61/mountinfo": at("/h"),
	})
	mounts, survey := read(t, proc)
	assert.DeepEqual(t, mounts, []string{
		"/a init (1) 1/mountinfo", "/b init (1) 1/mountinfo", "/c jail (30) 30/mountinfo",
		`/d e docker\x1bd (40) 40/task/41/mountinfo`,
		"/f x (50) 50/mountinfo", "/g z (52) 52/mountinfo", "/h w (61) 61/mountinfo",
	})
	assert.Equal(t, survey.Mounts, 7)
	assert.Equal(t, survey.Unnamed, 1)
	assert.DeepEqual(t, survey.Namespaces, map[string]bool{"mnt:[10]": true, "mnt:[12]": true, "mnt:[13]": true, "mnt:[14]": true})
	assert.Equal(t, len(survey.Problems), 0)
}

func TestReadProblems(t *testing.T) {
	proc := table(t, map[string]string{
		"1/mountinfo": at("/a"), "1/ns/mnt": "-> mnt:[10]", "1/root": "-> /",
		"2/comm": "odd\n", "2/mountinfo": "nonsense\n", "2/ns/mnt": "-> mnt:[11]", "2/root": "-> /",
		"3/mountinfo": "nonsense\n", "3/ns/mnt": "-> mnt:[11]", "3/root": "-> /",
		"4/mountinfo/is": "a directory", "4/ns/mnt": "-> mnt:[12]", "4/root": "-> /",
		"5/mountinfo": at("/b"), "5/ns/mnt": "-> mnt:[13]", "5/root": "-> /", "5/task": "no directory",
	})
	mounts, survey := read(t, proc)
	assert.Equal(t, len(mounts), 2)
	assert.Equal(t, len(survey.Problems), 3, "%v: one for each view", survey.Problems)
	assert.Equal(t, survey.Problems[0].View, View{2, "odd", proc + "/2/mountinfo", "mnt:[11]"})
	assert.ErrorContains(t, survey.Problems[0].Err, "not enough fields")
	assert.ErrorContains(t, survey.Problems[1].Err, "is a directory")
	assert.ErrorContains(t, survey.Problems[2].Err, "5/task")
	assert.Assert(t, !survey.Namespaces["mnt:[11]"] && !survey.Namespaces["mnt:[12]"])
}

func TestReadNothing(t *testing.T) {
	none := func(*View, *mountinfo.Info) { t.Error("there is no mount") }
	_, err := Read(t.Context(), table(t, nil), none)
	assert.ErrorContains(t, err, "does not list process 1")
	_, err = Read(t.Context(), table(t, map[string]string{"1/comm": "x"}), none)
	assert.ErrorContains(t, err, "no process has a mount table")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Read(ctx, table(t, map[string]string{"1/mountinfo": at("/a")}), none)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestReadPins(t *testing.T) {
	pin := func(ns, point string) string {
		return "36 35 0:4 " + ns + " " + point + " rw shared:1 - nsfs nsfs rw\n"
	}
	proc := table(t, map[string]string{
		"1/comm": "init\n", "1/ns/mnt": "-> mnt:[10]", "1/root": "-> /",
		"1/mountinfo": at("/a") + pin("net:[9]", "/run/netns/a") + pin("mnt:[11]", "/run/ns/a") + pin("mnt:[12]", "/run/ns/b"),
		"2/mountinfo": at("/a"), "2/ns/mnt": "-> mnt:[12]", "2/root": "-> /",
	})
	_, survey := read(t, proc)
	unseen := survey.Unseen()
	assert.Equal(t, len(unseen), 1)
	assert.Equal(t, unseen[0].Namespace, "mnt:[11]")
	assert.Equal(t, unseen[0].Path, "/run/ns/a")
	assert.Equal(t, unseen[0].View.PID, 1)
}

// A table that changes while it is read is read again, and what was seen
// before counts as well. A pipe has a new content for each who opens it.
func TestReadUntilItAgrees(t *testing.T) {
	for name, tc := range map[string]struct {
		readings []string
		want     []string
		err      string
	}{
		"agrees":           {[]string{at("/a"), at("/b"), at("/b")}, []string{"/a", "/b"}, ""},
		"never":            {strings.SplitAfter(strings.Repeat(at("/a")+at("/b"), 6), "\n")[:11], nil, "changed 10 times"},
		"becomes nonsense": {[]string{at("/a"), "nonsense"}, nil, "not enough fields"},
	} {
		t.Run(name, func(t *testing.T) {
			pipe := filepath.Join(t.TempDir(), "mountinfo")
			assert.NilError(t, unix.Mkfifo(pipe, 0o600))
			written := make(chan error, 1)
			go func() {
				for _, reading := range tc.readings {
					if err := os.WriteFile(pipe, []byte(reading), 0); err != nil {
						written <- err
						return
					}
				}
				written <- nil
			}()
			var mounts []string
			r := &reader{survey: &Survey{}, each: func(_ *View, m *mountinfo.Info) { mounts = append(mounts, m.Mountpoint) }}
			first, err := os.ReadFile(pipe)
			assert.NilError(t, err)
			err = r.read(&View{File: pipe}, first)
			assert.NilError(t, <-written)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
				return
			}
			assert.NilError(t, err)
			assert.DeepEqual(t, mounts, tc.want)
			assert.Equal(t, r.survey.Mounts, 1)
		})
	}
}

// seen looks for a mount point in the tables of the system.
func seen(t *testing.T, point string) []View {
	t.Helper()
	var views []View
	_, err := Read(t.Context(), "/proc", func(v *View, m *mountinfo.Info) {
		if m.Mountpoint == point {
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
	answers, done, ended := make(chan error), make(chan struct{}), make(chan struct{})
	tid := 0
	go func() {
		defer close(ended)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
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
	}()
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
	// A pin must lie in a namespace that is older than what it pins, on a
	// mount that does not spread to it.
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-ec", `
		mount -t tmpfs none "$1"; mount --make-private "$1"; touch "$1/pin"
		unshare --mount="$1/pin" true
		echo ready; read line`, "sh", t.TempDir())
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
	_, err = bufio.NewReader(out).ReadString('\n')
	assert.NilError(t, err)

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

func TestPlacesOf(t *testing.T) {
	proc := table(t, map[string]string{"self/mountinfo": at("/") + at("/srv/docker")})
	got, err := PlacesOf(proc, "/srv/docker")
	assert.NilError(t, err)
	assert.DeepEqual(t, got, Places{{8, 1, "/root", "."}})
	got, err = PlacesOf(t.TempDir(), "/srv/docker")
	assert.NilError(t, err)
	assert.Assert(t, got == nil, "not listed")
	_, err = PlacesOf(table(t, map[string]string{"self/mountinfo": "nonsense"}), "/srv/docker")
	assert.ErrorContains(t, err, "not enough fields")
}
