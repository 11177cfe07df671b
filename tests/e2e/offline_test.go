//go:build e2e && linux

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// A stopped daemon's root says the same as it does while the daemon runs, and
// looking at it changes nothing: not a byte, not a time.
func TestOffline(t *testing.T) { at(t, everywhere, "stopped", stoppedRoot) }

func stoppedRoot(t *testing.T, h *host) {
	before := engine.Snapshot(t, h.Daemon)
	live := engine.Truth(t, h.Daemon)
	lost := h.Create(t, "base:1", "true")
	writable, initial := h.ContainerLayers(t, lost)
	left := h.KillInLoad(t, 1<<20)
	h.Lose(t, "containers/"+lost)

	// Nothing is in flight: age is not asked.
	wants := []want{
		orphan("image-layer", left.Chain, left.ChainLayer),
		orphan("layer", left.Layer),
		orphan("download", left.WriteSet),
		orphan("rw-layer", h.MountRecord(lost), writable, initial),
	}
	tree := stamps(t, h.Root)
	h.assertSays(t, live, append(wants, orphan("download", left.Temp)), "--data-root", h.Root)
	assert.DeepEqual(t, tree, stamps(t, h.Root))

	h.again(t)
	engine.Check(t, h.Daemon, before)
	h.assertFindings(t, wants)
}

// offline runs a command of the program on a data root without a daemon, and
// wants an exit status.
func (h *host) offline(t *testing.T, code int, args ...string) engine.Output {
	t.Helper()
	out := h.Run(t, suite.program, append([]string{"--data-root", h.Root}, args...)...)
	assert.Equal(t, out.Code, code, "%s: %s%s", strings.Join(args, " "), out.Stdout, out.Stderr)
	return out
}

// What a stopped daemon has leaked goes in one run, also what a running one
// would have to release itself. The daemon that is started on the rest has
// lost nothing and knows nothing of what went.
func TestPruneOffline(t *testing.T) { at(t, everywhere, "stopped", prunedStopped) }

func prunedStopped(t *testing.T, h *host) {
	lost := h.Create(t, "base:1", "true")
	writable, initial := h.ContainerLayers(t, lost)
	left := h.KillInLoad(t, 1<<20)
	h.stopped(t, func() { h.Lose(t, "containers/"+lost) })
	was := h.picture(t)
	h.Stop(t)
	held := []string{h.MountRecord(lost), writable, initial}
	gone := []string{left.Chain, left.ChainLayer, left.Layer, left.WriteSet}
	assertGone := func(names ...string) {
		t.Helper()
		for _, name := range names {
			assert.Check(t, !h.Has(name), "%s is an orphan, and is still there", name)
		}
	}

	h.offline(t, 0, "prune", "--force")
	assertGone(append(held, gone...)...)
	h.again(t)
	engine.Check(t, h.Daemon, was.state)

	h.Stop(t)
	h.offline(t, 0, "restore", "--last")
	h.assertSame(t, was, held)
	h.offline(t, 0, "rm", "--force", "--purge", lost)
	assertGone(append(held, gone...)...)
	h.again(t)
	engine.Check(t, h.Daemon, was.state)

	// To the daemon no layer of it is there already.
	h.Load(t, left.Archive)
	h.Docker(t, "run", "--rm", "--network=none", "never:2", "cat", "/first")
	engine.Check(t, h.Daemon, engine.Snapshot(t, h.Daemon))
}

// A daemon that is started in the middle of a run does not get the data root,
// or the run ends before it has touched anything.
func TestStartedInTheMiddle(t *testing.T) { at(t, engines, "started", startedInTheMiddle) }

func startedInTheMiddle(t *testing.T, h *host) {
	left := h.KillInLoad(t, 1<<20)
	h.again(t)
	was := engine.Snapshot(t, h.Daemon)
	h.Stop(t)
	var database syscall.Stat_t
	assert.NilError(t, syscall.Stat(h.Path("volumes/metadata.db"), &database))

	ended := make(chan engine.Output, 1)
	go func() { ended <- h.Run(t, suite.program, "--data-root", h.Root, "prune", "--force") }()
	engine.Eventually(t, "the lock of the run", func() bool {
		locks, err := os.ReadFile("/proc/locks")
		assert.NilError(t, err)
		return strings.Contains(string(locks), fmt.Sprintf(":%d ", database.Ino))
	})
	time.Sleep(3 * time.Second) // between its looks, unless the machine is very busy
	started := h.TryStart(t)
	out := <-ended
	if started {
		assert.Check(t, out.Code == 1 && strings.Contains(out.Stderr, "was started on this data root"), "exit status %d: %s%s", out.Code, out.Stdout, out.Stderr)
	} else {
		log := h.LogTail()
		assert.Check(t, strings.Contains(log, "error while opening volume store metadata database"), log)
	}
	h.again(t)
	engine.Check(t, h.Daemon, was)
	h.Stop(t)
	h.offline(t, 0, "prune", "--force")
	assert.Check(t, !h.Has(left.Chain), "%s is an orphan, and is still there", left.Chain)
	h.again(t)
	engine.Check(t, h.Daemon, was)
}

// stamps are the identity, size and times of everything below a directory. The
// time of the last read does not count.
func stamps(t *testing.T, dir string) map[string]syscall.Stat_t {
	t.Helper()
	all := map[string]syscall.Stat_t{}
	assert.NilError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		s := *info.Sys().(*syscall.Stat_t)
		s.Atim = syscall.Timespec{}
		all[path] = s
		return nil
	}))
	return all
}
