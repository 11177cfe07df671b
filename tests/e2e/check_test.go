//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// A recorder is a test that only remembers that it failed.
type recorder struct {
	*testing.T
	failure string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	panic(r)
}

// failure is how the post-condition fails, or "".
func (h *host) failure(t *testing.T, before engine.State) (failure string) {
	r := &recorder{T: t}
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
		failure = r.failure
	}()
	engine.Check(r, h.Daemon, before)
	return ""
}

// checks asserts what docker orphans check says, once it says so: what comes
// and goes beside this test puts more in doubt for a moment.
func (h *host) checks(t *testing.T, code int, says string) {
	t.Helper()
	var out engine.Output
	for range patience {
		out = h.Run(t, suite.program, "-H", h.Host, "check")
		if out.Code == code && strings.Contains(out.Stdout, says) {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	assert.Check(t, false, "exit status %d: %s%s", out.Code, out.Stdout, out.Stderr)
}

// TestCheck harms what lives, and asserts that the post-condition of all other
// tests says so. Each harm is undone before the next.
func TestCheck(t *testing.T) {
	t.Parallel()
	h := newHost(t, place{"debian", "overlay2"})
	before := engine.Snapshot(t, h.Daemon)
	assert.Equal(t, h.failure(t, before), "")
	h.checks(t, 0, "No damage: ")

	_, base := h.Registered(t, engine.DiffID(engine.Tar(h.Base(t)...)))
	writable, _ := h.ContainerLayers(t, h.down)
	volume := filepath.Join(h.Root, "volumes", "named", "_data", "n")
	for _, harm := range []struct {
		name, path, says string
		check            string // what docker orphans check says; "" of what is in a layer or a volume
	}{
		{"a file of an image's layer", h.Path(base + "/diff/bin/busybox"), "busybox", ""},
		{"a layer that lies below others", h.Path(base), base, "its layer " + base + " is gone"},
		{"the short link of a layer", h.Path(h.Link(t, base)), "no such file or directory", h.Link(t, base) + ": is gone"},
		{"a file that a container wrote", h.Path(writable + "/diff/w"), "container " + h.down, ""},
		{"a container's layer", h.Path(writable), writable, writable + ": is gone\n  fails:  container down"},
		{"a file in a volume", volume, "volume named", ""},
	} {
		t.Run(harm.name, func(t *testing.T) {
			away := harm.path + ".away"
			assert.NilError(t, os.Rename(harm.path, away))
			failure := h.failure(t, before)
			if harm.check != "" {
				h.checks(t, 2, harm.check)
			}
			assert.NilError(t, os.Rename(away, harm.path))
			assert.Check(t, strings.Contains(failure, harm.says), "says %q", failure)
		})
	}
	t.Run("a container", func(t *testing.T) {
		h.Docker(t, "rm", h.made)
		assert.Check(t, strings.Contains(h.failure(t, before), "container "+h.made+" is gone"))
	})
}

// TestLostForAMoment prunes while a layer is gone for some seconds, as that of
// something is that is just being removed: prune looks again, and goes on.
func TestLostForAMoment(t *testing.T) {
	t.Parallel()
	h := newHost(t, place{"debian", "overlay2"})
	volume := "volumes/" + h.Docker(t, "volume", "create") // what is lost puts no volume in doubt
	layer := h.Path(h.loadOf(t, "own:1").layers[1])
	away := layer + ".away"
	assert.NilError(t, os.Rename(layer, away))
	back := make(chan error)
	time.AfterFunc(4*time.Second, func() { back <- os.Rename(away, layer) })
	out := h.Run(t, suite.program, slices.Concat([]string{"-H", h.Host}, ageless, []string{"prune", "--force"})...)
	assert.NilError(t, <-back)
	assert.Equal(t, out.Code, 0, "%s%s", out.Stdout, out.Stderr)
	assert.Check(t, !h.Has(volume), "%s%s", out.Stdout, out.Stderr)
}
