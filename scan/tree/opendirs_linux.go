package tree

import (
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// large is how many entries make a directory worth keeping open: a
	// scan lists it and then asks for what is in it, one by one.
	large = 256
	// keep is how many directories are kept open at most.
	keep = 8
)

// openDirs holds the large directories that were listed, open, so that what is
// in them is reached in one step. What is asked of an entry after a listing is
// asked of the directory that was listed, even if another was put in its
// place meanwhile; the next listing is of the new one.
type openDirs struct {
	mu   sync.RWMutex
	open map[string]int // descriptors by name
}

// keep takes over the descriptor of a directory that was just listed.
func (l *openDirs) keep(name string, fd, entries int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, ok := l.open[name]; ok {
		unix.Close(old) // nobody reads through it: they hold the lock
		delete(l.open, name)
	}
	if entries < large || len(l.open) >= keep {
		unix.Close(fd) // nothing was written through it
		return
	}
	if l.open == nil {
		l.open = map[string]int{}
	}
	l.open[name] = fd
}

// from calls f with the nearest directory above the name that is open, the
// root if there is no other, and with the rest of the name.
func (l *openDirs) from(root int, name string, f func(dir int, rest string) error) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for end := strings.LastIndexByte(name, '/'); end > 0; end = strings.LastIndexByte(name[:end], '/') {
		if dir, ok := l.open[name[:end]]; ok {
			return f(dir, name[end+1:])
		}
	}
	return f(root, name)
}

// close closes them all.
func (l *openDirs) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fd := range l.open {
		unix.Close(fd) // nothing was written through it
	}
	l.open = nil
}
