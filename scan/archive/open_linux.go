package archive

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// A source is a directory below the data root, held by a descriptor.
type source struct {
	dir   int // O_PATH
	calls beneath.Calls
	on    beneath.Stat // of the directory itself: nothing on another mount or device is read
}

// openSource opens a directory below the data root. The caller closes it.
func openSource(root, name string) (*source, error) {
	top, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", root, err)
	}
	defer unix.Close(top) // nothing was written through it
	s := &source{calls: beneath.Probe(top)}
	if s.dir, err = s.calls.PathDir(top, name); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := s.calls.Fstat(s.dir, &s.on); err != nil {
		unix.Close(s.dir) // as above
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (s *source) close() { unix.Close(s.dir) } // nothing was written through it

// elsewhere reports whether a file is on another mount than the directory.
func (s *source) elsewhere(st *beneath.Stat) bool {
	return st.Device != s.on.Device || st.Mount != 0 && s.on.Mount != 0 && st.Mount != s.on.Mount
}
