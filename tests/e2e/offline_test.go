//go:build e2e && linux

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// A stopped daemon's root says the same as it does while the daemon runs, and
// looking at it changes nothing: not a byte, not a time.
func TestOffline(t *testing.T) {
	for _, driver := range both {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, driver)
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
		})
	}
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

// A root is judged with the help of the daemon that owns it, or not at all.
func TestRefused(t *testing.T) {
	t.Parallel()
	one := engine.Start(t, suite.engine, engine.Options{Driver: "overlay2", Dir: suite.dir})
	other := engine.Start(t, suite.engine, engine.Options{Driver: "vfs", Dir: suite.dir})
	for _, test := range []struct {
		name string
		args []string
		says []string // on standard error
	}{
		{"the root of another daemon", []string{"-H", other.Host, "--data-root", one.Root}, []string{one.Root, "dockerd", "-H unix://"}},
		{"no daemon, and a root in use", []string{"-H", "unix:///nonexistent", "--data-root", one.Root}, []string{one.Root, "dockerd"}},
		{"no daemon and no root", []string{"-H", "unix:///nonexistent"}, []string{"unix:///nonexistent", "--data-root"}},
		{"no such root", []string{"-H", "unix:///nonexistent", "--data-root", "/nonexistent"}, []string{"/nonexistent"}},
		{"not a data root", []string{"-H", "unix:///nonexistent", "--data-root", "/proc"}, []string{"/proc"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := one.Run(t, suite.program, append(test.args, "ls")...)
			assert.Equal(t, out.Code, 1, out.Stderr)
			assert.Equal(t, out.Stdout, "")
			for _, text := range test.says {
				assert.Check(t, strings.Contains(out.Stderr, text), "%q is not in:\n%s", text, out.Stderr)
			}
		})
	}
}
