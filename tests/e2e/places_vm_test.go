//go:build e2e && linux && vm

package e2e

import (
	"testing"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// In the virtual machine scenarios are played on what the real one's kernel
// does not have.
var (
	everywhere = []place{{"debian", "devicemapper"}}
	newest     = []place(nil)
	engines    = []place{{"debian", "devicemapper"}, {"debian", "zfs"}}
	busy       = []place(nil)
	raced      = []place(nil)
	links      = []place(nil)
)

// leanHost is a daemon with few things in it: an emulated processor takes long
// for each.
func leanHost(t *testing.T, p place) *host {
	t.Helper()
	h := &host{Daemon: p.start(t)}
	h.Import(t, "base:1", h.Base(t)...)
	h.Load(t, engine.Archive("two:1", engine.Tar(h.Base(t, engine.File{Name: "c", Data: "c"})...), engine.Tar(engine.File{Name: "d", Data: "d"})))
	h.up = h.Up(t, "--name=up", "--volume=named:/named", "two:1", "sh", "-c", "echo n >/named/n; echo w >/w; sleep 100000")
	h.made = h.Create(t, "--name=made", "base:1", "true")
	return h
}
