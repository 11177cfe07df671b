//go:build linux

package prune_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// victim names, to a process that is to be killed, the world that it works in.
const victim = "DOCKER_ORPHANS_TEST_VICTIM"

// TestMain runs the tests; or, in a process that a test has started to be
// killed, removes until that happens.
func TestMain(m *testing.M) {
	if text := os.Getenv(victim); text != "" {
		beKilled(text)
	}
	os.Exit(m.Run())
}

// beKilled carries out a plan in the world "DIR:N:FAULT" and kills itself.
func beKilled(text string) {
	parts := strings.Split(text, ":")
	n, _ := strconv.Atoi(parts[1])
	f, _ := strconv.Atoi(parts[2])
	t := &child{}
	w := newWorld(t, "overlay2", leaky)
	w.Dir = parts[0]
	w.restart() // what is in the directory was made before
	plan, owner := w.plan(prune.Options{})
	disk := &faultyDisk{Disk: w.disk(), at: n, fault: fault(f)}
	if dies(func() { _, _ = w.runner(disk).Execute(context.Background(), plan, owner) }) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	os.Exit(3) // it never came to the nth operation
}

// A child is what a test is to the process that is to be killed.
type child struct{ testing.TB }

func (*child) Helper()                  {}
func (*child) Cleanup(func())           {}
func (*child) Log(args ...any)          { fmt.Fprintln(os.Stderr, args...) }
func (*child) TempDir() string          { dir, _ := os.MkdirTemp("", "victim"); return dir }
func (*child) FailNow()                 { os.Exit(4) }
func (*child) Fail()                    { os.Exit(4) }
func (*child) Name() string             { return "victim" }
func (*child) Context() context.Context { return context.Background() }

// The process is killed for real around every operation of a run: the next
// one gets to the same end.
func TestKilled(t *testing.T) {
	for n := 1; ; n++ {
		for _, f := range []fault{crashBefore, crashAfter} {
			w := newWorld(t, "overlay2", leaky)
			w.restart()
			before := w.manifest()
			plan, _ := w.plan(prune.Options{})
			all := moved(plan, journal.Free, journal.Quarantine)
			dir, err := filepath.EvalSymlinks(w.Dir)
			assert.NilError(t, err)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d:%d", victim, dir, n, f))
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState.ExitCode() == 3 {
				assert.Assert(t, n > 15, "only %d operations", n-1)
				return
			}
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			assert.Assert(t, status.Signaled() && status.Signal() == syscall.SIGKILL, "%v: %s", err, out)

			r := w.runner(w.disk())
			_, err = r.Recover(t.Context())
			assert.NilError(t, err)
			assert.DeepEqual(t, without(w.manifest(), all...), without(before, all...))
			w.execute(prune.Options{})
			assert.DeepEqual(t, w.manifest(), without(before, all...))
			held, err := r.Held()
			assert.NilError(t, err)
			_, err = r.Restore(t.Context(), held)
			assert.NilError(t, err)
			assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Free)...))
		}
	}
}
