//go:build linux

package engine

import "slices"

// Containers have no network at all: without a bridge dockerd would write
// that into their settings at their first start, which is not the change that
// tests look for.

// Up starts a container that stays up, and returns its id.
func (d *Daemon) Up(t TB, args ...string) string {
	t.Helper()
	// Its command is process 1, which ignores SIGTERM: without this every
	// stop of the daemon would wait ten seconds.
	return d.Docker(t, slices.Concat([]string{"run", "--detach", "--network=none", "--stop-signal=KILL"}, args)...)
}

// Down runs a container to its end, and returns its id.
func (d *Daemon) Down(t TB, args ...string) string {
	t.Helper()
	id := d.Create(t, args...)
	d.Docker(t, "start", "--attach", id)
	return id
}

// Create makes a container that has never been started, and returns its id.
func (d *Daemon) Create(t TB, args ...string) string {
	t.Helper()
	return d.Docker(t, slices.Concat([]string{"create", "--network=none", "--stop-signal=KILL"}, args)...)
}
