//go:build linux

package engine

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Gate holds up whoever opens a file in a directory, or makes one there. It
// turns a moment that passes into one that lasts: of a daemon that fills a
// volume, say.
type Gate struct {
	events  *os.File
	holds   func(pid int) bool
	waiting atomic.Bool
	once    sync.Once

	null  int   // a descriptor of nothing that matters
	stand []int // the descriptors of those who stand there
}

// Shut makes a gate before the files of a directory, not those further below.
// It holds up everybody, and opens when t ends.
func Shut(t TB, dir string) *Gate {
	t.Helper()
	return ShutFor(t, dir, func(int) bool { return true })
}

// ShutFor makes a gate that asks whom it holds up: a process of this id. It is
// asked at each opening, while the process stands there; it must not open
// anything in the directory itself.
func ShutFor(t TB, dir string, holds func(pid int) bool) *Gate {
	t.Helper()
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		t.Fatalf("fanotify: %v", err)
	}
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("%s: %v", os.DevNull, err)
	}
	g := &Gate{events: os.NewFile(uintptr(fd), "fanotify"), holds: holds, null: null}
	t.Cleanup(g.Open)
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD, unix.FAN_OPEN_PERM|unix.FAN_EVENT_ON_CHILD, unix.AT_FDCWD, dir); err != nil {
		t.Fatalf("fanotify: %s: %v", dir, err)
	}
	go g.keep()
	return g
}

// keep answers those who come, until the gate is opened.
func (g *Gate) keep() {
	defer func() {
		for _, fd := range append(g.stand, g.null) {
			must(unix.Close(fd))
		}
	}()
	const size = int(unsafe.Sizeof(unix.FanotifyEventMetadata{}))
	var block [64 * size]byte
	for {
		n, err := g.events.Read(block[:])
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				must(err)
			}
			return
		}
		for at := 0; at+size <= n; {
			event := (*unix.FanotifyEventMetadata)(unsafe.Pointer(&block[at]))
			at += int(event.Event_len)
			g.answer(event)
		}
	}
}

// answer lets one through, or leaves it standing. An answer names who is let
// through by the number of the event's descriptor: that of one who stands there
// must not be given to the next, or the wrong one goes on. The file itself is not
// kept open.
func (g *Gate) answer(event *unix.FanotifyEventMetadata) {
	fd := int(event.Fd)
	if g.holds(int(event.Pid)) {
		must(unix.Dup3(g.null, fd, unix.O_CLOEXEC))
		g.stand = append(g.stand, fd)
		g.waiting.Store(true)
		return
	}
	response := unix.FanotifyResponse{Fd: event.Fd, Response: unix.FAN_ALLOW}
	_, err := g.events.Write(unsafe.Slice((*byte)(unsafe.Pointer(&response)), unsafe.Sizeof(response)))
	if !errors.Is(err, os.ErrClosed) && !errors.Is(err, unix.ENOENT) { // it was killed meanwhile
		must(err)
	}
	must(unix.Close(fd))
}

// Waiting reports whether anybody stands before the gate, or stood there when
// it was killed.
func (g *Gate) Waiting() bool { return g.waiting.Load() }

// Open lets everybody through.
func (g *Gate) Open() {
	// Without a listener the kernel asks nobody any more.
	g.once.Do(func() { must(g.events.Close()) })
}
