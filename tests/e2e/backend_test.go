//go:build e2e && linux

package e2e

import (
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// All that a storage driver left goes once it is named, while the daemon runs
// with another one, and comes back: then going back to the driver finds every
// image, container and volume as it was. What the other driver has stays as it
// is throughout, and the volumes of all containers.
func TestBackend(t *testing.T) {
	at(t, []place{{"debian", "vfs"}, {"debian", "overlay2"}, {"debian", "btrfs"}}, "switched", switchedBackend)
}

func switchedBackend(t *testing.T, h *host) {
	old, next := h.Driver, map[string]string{"vfs": "overlay2", "overlay2": "vfs", "btrfs": "overlay2"}[h.Driver]
	was := engine.Snapshot(t, h.Daemon)
	h.Stop(t)
	h.Driver = next
	h.Start(t)
	h.Import(t, "base:2", h.Base(t, engine.File{Name: "2", Data: "2"})...)
	h.Down(t, "--name=two", "--volume=named:/named", "base:2", "true")
	now := engine.Snapshot(t, h.Daemon)

	left := h.assertVerdict(t, old, isOrphan, shortGrace...)
	for _, path := range []string{old, "image/" + old, "containers/" + h.up, "containers/" + h.down, "containers/" + h.made} {
		assert.Check(t, slices.Contains(left.Paths, path), "%s is not in %v", path, left.Paths)
	}
	quick := slices.Concat(shortGrace, []string{"--allow-quick-looks"})
	h.command(t, 1, slices.Concat(quick, []string{"prune", "--backend", old, "--force"})...)
	assert.Check(t, h.Has(old))
	out := h.tried(t, slices.Concat(quick, []string{"prune", "--backend", old, "--force", "--allow-backend"})...)
	assert.Check(t, strings.Contains(out.Stderr, "The daemon, when it starts next, uses "+next+", as the daemon's command line says."), out.Stderr)
	for _, path := range left.Paths {
		assert.Check(t, !h.Has(path), "%s is still there", path)
	}
	engine.Check(t, h.Daemon, now)
	h.Restart(t)
	engine.Check(t, h.Daemon, now)

	h.command(t, 0, "restore", "--last")
	engine.Check(t, h.Daemon, now)
	h.Stop(t)
	h.Driver = old
	h.again(t)
	engine.Check(t, h.Daemon, was)

	// And for good, the other way round.
	h.tried(t, slices.Concat(quick, []string{"rm", "--force", "--allow-backend", "--purge", "backend:" + next})...)
	assert.Check(t, !h.Has(next) && !h.Has("image/"+next))
	engine.Check(t, h.Daemon, was)
	h.again(t)
	engine.Check(t, h.Daemon, was)

	// Then the one that it began with, of which only volumes stay.
	h.Stop(t)
	h.Driver = next
	h.Start(t)
	h.tried(t, slices.Concat(quick, []string{"rm", "--force", "--allow-backend", "--purge", "backend:" + old})...)
	assert.Check(t, !h.Has(old) && !h.Has("image/"+old))
	assert.Equal(t, h.Read(t, "volumes/named/_data/n"), "n\n")
}

// tried runs a command that removes until nothing keeps it from doing so: while
// other scenarios start and end containers some process may be between two
// states.
func (h *host) tried(t *testing.T, args ...string) engine.Output {
	t.Helper()
	var out engine.Output
	for range patience {
		if out = h.Run(t, suite.program, append([]string{"-H", h.Host}, args...)...); out.Code == 0 {
			return out
		}
	}
	assert.Assert(t, false, "%s: %s%s", strings.Join(args, " "), out.Stdout, out.Stderr)
	return out
}
