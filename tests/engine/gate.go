//go:build linux

package engine

import (
	"sync"

	"golang.org/x/sys/unix"
)

// A Gate holds up whoever opens a file in a directory, or makes one there. It
// turns a moment that passes into one that lasts: of a daemon that fills a
// volume, say.
type Gate struct {
	fd   int
	once sync.Once
}

// Shut makes a gate before the files of a directory, not those further below.
// It opens when t ends.
func Shut(t TB, dir string) *Gate {
	t.Helper()
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		t.Fatalf("fanotify: %v", err)
	}
	g := &Gate{fd: fd}
	t.Cleanup(g.Open)
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD, unix.FAN_OPEN_PERM|unix.FAN_EVENT_ON_CHILD, unix.AT_FDCWD, dir); err != nil {
		t.Fatalf("fanotify: %s: %v", dir, err)
	}
	return g
}

// Waiting reports whether anybody stands before the gate.
func (g *Gate) Waiting() bool {
	ready := []unix.PollFd{{Fd: int32(g.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(ready, 0)
	return err == nil && n == 1
}

// Open lets everybody through.
func (g *Gate) Open() {
	// Without a listener the kernel asks nobody any more.
	g.once.Do(func() { must(unix.Close(g.fd)) })
}
