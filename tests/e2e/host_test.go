//go:build e2e && linux

package e2e

import (
	"testing"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// A host is a private daemon with live things of every sort in it.
type host struct {
	*engine.Daemon
	up       string // a running container of app:1, with two volumes
	down     string // a container of bk:1 that ran to its end and wrote something
	made     string // a container of base:1 that never ran
	dangling string // an image of two layers without a tag
}

// start starts an empty daemon.
func (p place) start(t *testing.T) *engine.Daemon {
	t.Helper()
	return engine.Start(t, suite.engines[p.engine], engine.Options{Driver: p.driver, Dir: suite.dir})
}

// newHost starts a daemon and furnishes it. What makes the images is what
// differs between real ones: import, classic builder, BuildKit, load.
func newHost(t *testing.T, p place) *host {
	t.Helper()
	h := &host{Daemon: p.start(t)}
	h.Import(t, "base:1", h.Base(t)...)
	h.Build(t, "app:1", "FROM base:1\nCOPY a /a\nLABEL protected=true\n", engine.File{Name: "a", Data: "a"})
	h.BuildKit(t, "bk:1", "FROM base:1\nCOPY a /a\nRUN head -c 999 /dev/urandom >/b\n", engine.File{Name: "a", Data: "bk"})
	h.dangling = h.Load(t, engine.Archive("", engine.Tar(h.Base(t, engine.File{Name: "c", Data: "c"})...), engine.Tar(engine.File{Name: "d", Data: "d"})))

	h.up = h.Up(t, "--name=up", "--volume=named:/named", "--volume=/anonymous", "app:1",
		"sh", "-c", "echo n >/named/n; echo a >/anonymous/a; echo w >/w; sleep 100000")
	// Once: the post-condition starts it again and kills it anywhere.
	h.down = h.Down(t, "--name=down", "bk:1", "sh", "-c", "[ -e /w ] || echo w >/w")
	h.made = h.Create(t, "--name=made", "base:1", "true")
	return h
}

// again starts the daemon after a kill, and what ran before. What zfs left mounted
// goes first, as with the power: it would be held.
func (h *host) again(t *testing.T) {
	t.Helper()
	if h.Driver == "zfs" && !h.Running() {
		h.Unmount(t, h.LayerDir())
	}
	h.Restart(t)
	h.Docker(t, "start", h.up)
}

// stopped runs what breaks the data root of the stopped daemon, and starts
// it again.
func (h *host) stopped(t *testing.T, f func()) {
	t.Helper()
	h.Stop(t)
	f()
	h.again(t)
}
