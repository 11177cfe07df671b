//go:build e2e && linux

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// An attempt is a run of prune that is held up at a moment of its life, so
// that a test can do something then. It has a terminal, on which it says what
// it is about.
type attempt struct {
	h     *host
	m     moment
	cmd   *exec.Cmd
	steps int          // moves that its plan takes by hand
	looks *engine.Gate // where it is held up when it looks at everything
	gate  *engine.Gate // where its unlinking is held up
	old   []string     // the runs that there were before

	mu   sync.Mutex
	said bytes.Buffer
	over chan struct{} // closed when all that it said was read
}

// attempt starts a prune, with the waits that users have, that is to be held
// up at a moment. gate is where its unlinking is.
func (h *host) attempt(t *testing.T, m moment, steps int, gate *engine.Gate) *attempt {
	t.Helper()
	a := &attempt{h: h, m: m, steps: steps, gate: gate, old: h.List(".docker-orphans/runs"), over: make(chan struct{})}
	var pid atomic.Int64
	// Every look reads which images have a name.
	a.looks = engine.ShutFor(t, h.Path(h.ImageDir()), func(who int) bool { return int64(who) == pid.Load() && !m.over && m.is(a) })
	ours, theirs := terminal(t)
	a.cmd = exec.Command(suite.program, slices.Concat([]string{"-H", h.Host}, shortGrace, []string{"prune", "--force"})...)
	a.cmd.Env = h.Environ()
	a.cmd.Stdout, a.cmd.Stderr = theirs, theirs
	assert.NilError(t, a.cmd.Start())
	pid.Store(int64(a.cmd.Process.Pid))
	assert.NilError(t, theirs.Close())
	t.Cleanup(func() {
		if t.Failed() {
			journal, _ := os.ReadFile(a.h.Path(a.run() + "/journal")) // none, if it did not begin
			t.Logf("%d of %d moves, %d in the plan, looked: %t, in %q", a.aside(), a.steps, bytes.Count(journal, []byte(`"from":`)), a.looked(), a.run())
			a.looks.Open()
			a.gate.Open()
			select { // what it says at its end tells most
			case <-a.over:
			case <-time.After(10 * time.Second):
			}
			t.Log(a.output())
		}
		_ = a.cmd.Process.Kill() // mostly ended before
	})
	go func() {
		defer close(a.over)
		var block [4096]byte
		for {
			n, err := ours.Read(block[:]) // EIO: nobody has the other side open any more
			a.mu.Lock()
			a.said.Write(block[:n])
			a.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	engine.Eventually(t, "prune "+m.name, func() bool {
		assert.Assert(t, !a.ended(), "it has ended: %s", a.output())
		return a.looks.Waiting() || m.over && m.is(a)
	})
	return a
}

// terminal opens a pseudo terminal.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = ours.Close() })
	assert.NilError(t, unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	assert.NilError(t, err)
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	assert.NilError(t, err)
	return ours, theirs
}

func (a *attempt) output() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.said.String()
}

// run is the directory of the attempt's run, below the data root; "" before
// there is one.
func (a *attempt) run() string {
	made := added(a.old, a.h.List(".docker-orphans/runs"))
	if len(made) != 1 {
		return ""
	}
	return made[0]
}

// aside counts what lies in the run's places.
func (a *attempt) aside() int {
	return len(a.h.List(a.run()+"/trash")) + len(a.h.List(a.run()+"/held"))
}

// looked reports whether it is in the journal that all was looked at again.
func (a *attempt) looked() bool {
	data, _ := os.ReadFile(a.h.Path(a.run() + "/journal")) // none is one without it
	return bytes.Contains(data, []byte(`"record":"looked"`))
}

// A moment is one that can be seen from outside.
type moment struct {
	name string
	is   func(a *attempt) bool
	over bool // past the point from which a run is carried to its end
}

// moments are those of a run that takes more steps than one batch has, in
// order. In all but the last it looks at everything.
var moments = []moment{
	{"when it looks again", func(a *attempt) bool { return strings.Contains(a.output(), "Looking again…") && a.run() == "" }, false},
	{"while it takes", func(a *attempt) bool { n := a.aside(); return n > 0 && n < a.steps && !a.looked() }, false},
	{"when it has taken", func(a *attempt) bool { return a.aside() >= a.steps && !a.looked() }, false},
	{"while it unlinks", func(a *attempt) bool { return a.gate.Waiting() && a.looked() }, true},
}

// state is that of the process, as ps shows it.
func (a *attempt) state() string {
	data, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(a.cmd.Process.Pid), "stat"))
	if err != nil {
		return ""
	}
	return strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))[0]
}

func (a *attempt) ended() bool { return a.state() == "Z" }

// goOn lets it run to its end and returns its exit status.
func (a *attempt) goOn(t *testing.T) int {
	t.Helper()
	a.open()
	engine.Eventually(t, "the end of prune", func() bool {
		assert.Assert(t, a.m.over || !a.gate.Waiting(), "it goes on to unlink")
		return a.ended()
	})
	_ = a.cmd.Wait() // its exit status is a result
	<-a.over
	return a.cmd.ProcessState.ExitCode()
}

// open lets go of it where it is held up.
func (a *attempt) open() {
	a.looks.Open()
	if a.m.over {
		a.gate.Open()
	}
}

// freeze makes, in a directory that is to be unlinked, what cannot be unlinked
// without its flags being taken off, and a gate before that.
func (h *host) freeze(t *testing.T, dir string) *engine.Gate {
	t.Helper()
	ice := []string{"iced", "iced/below", "iced/below/file"}
	assert.NilError(t, os.MkdirAll(filepath.Join(dir, ice[1]), 0o700))
	assert.NilError(t, os.WriteFile(filepath.Join(dir, ice[2]), []byte("x"), 0o000))
	for _, name := range slices.Backward(ice) {
		setImmutable(t, filepath.Join(dir, name), true)
	}
	t.Cleanup(func() { // of a test that failed: else the directory could not be removed
		aside := h.Path(".docker-orphans/runs/*/*/*")
		whole, err := filepath.Glob(aside)
		assert.NilError(t, err)
		layers, err := filepath.Glob(aside + "/diff")
		assert.NilError(t, err)
		for _, dir := range slices.Concat(whole, layers, []string{dir}) {
			for _, name := range ice {
				if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
					setImmutable(t, filepath.Join(dir, name), false)
				}
			}
		}
	})
	return engine.Shut(t, filepath.Join(dir, ice[1]))
}

// kill ends it as kill -9 does.
func (a *attempt) kill(t *testing.T) {
	t.Helper()
	end(t, a.cmd)
	<-a.over
	a.open() // for the next
}
