package linked

import (
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// A side is one of two trees that are gone through side by side: the tree, or
// its copy. One directory of each is open at a time.
type side struct {
	calls beneath.Calls
	fd    int
	at    beneath.Stat // the open directory
	above []place      // the directories above, the innermost last
}

// A place is a directory's identity while the machine runs.
type place struct{ device, inode, mount uint64 }

func placeOf(st *beneath.Stat) place { return place{st.Device, st.Inode, st.Mount} }

// open opens a tree.
func open(calls beneath.Calls, dir *os.File, name string) (*side, error) {
	s := &side{calls: calls}
	var in beneath.Stat
	err := calls.Fstat(int(dir.Fd()), &in)
	if err == nil {
		s.fd, err = calls.DirOn(int(dir.Fd()), name, in.Mount, &s.at)
	}
	switch {
	case err == unix.EXDEV:
		return nil, ErrMounted
	case err != nil:
		return nil, err
	case s.at.Mount == 0:
		err = fmt.Errorf("the kernel does not tell which mount it is on: %w", ErrImpossible)
	case s.at.Device != in.Device:
		err = fmt.Errorf("is a subvolume: %w", ErrImpossible)
	default:
		return s, nil
	}
	unix.Close(s.fd) // nothing was written through it
	return nil, err
}

func (s *side) close() { unix.Close(s.fd) }

// enter goes down into a directory.
func (s *side) enter(name string) error {
	var st beneath.Stat
	fd, err := s.calls.DirOn(s.fd, name, s.at.Mount, &st)
	switch {
	case err == unix.EXDEV:
		return ErrMounted
	case err != nil:
		return err
	case st.Device != s.at.Device:
		unix.Close(fd) // nothing was written through it
		return fmt.Errorf("is a subvolume: %w", ErrImpossible)
	}
	s.above = append(s.above, placeOf(&s.at))
	unix.Close(s.fd) // its directories' descriptors lead back to it
	s.fd, s.at = fd, st
	return nil
}

// leave goes up again, to the directory that was entered from: if the open one
// was moved meanwhile, that is another one.
func (s *side) leave() error {
	var st beneath.Stat
	up, err := s.calls.Parent(s.fd, &st)
	if err != nil {
		return err
	}
	defer unix.Close(up) // it only led to the directory
	last := len(s.above) - 1
	if placeOf(&st) != s.above[last] {
		return fmt.Errorf("was moved: %w", ErrDiffers)
	}
	fd, err := s.calls.Dir(up, ".")
	if err != nil {
		return err
	}
	unix.Close(s.fd) // all in it was seen
	s.fd, s.at, s.above = fd, st, s.above[:last]
	return nil
}

// A pair is a tree and its copy.
type pair struct {
	tree, copy *side
	sum        Sum
	names      []string // of the open directories, from the tree's own on
	buf        []byte
}

// A visitor does what is to be done with each directory of a pair.
type visitor interface {
	// file is called for each entry of the tree that is no directory.
	file(name []byte, st *beneath.Stat) error
	// enter goes down into a directory in both.
	enter(name string) error
	// done is called once all below a directory was seen, of how many entries.
	done(entries int64) error
}

// walk goes through the tree, depth first. The entries of a directory come
// before those of the directories in it.
func (p *pair) walk(ctx context.Context, v visitor) error {
	type level struct {
		dirs    []string // met and not yet entered
		entries int64
	}
	var levels []level
	down := func() error {
		dirs, entries, err := p.list(ctx, v)
		levels = append(levels, level{dirs, entries})
		return err
	}
	if err := down(); err != nil {
		return err
	}
	for {
		at := &levels[len(levels)-1]
		if n := len(at.dirs); n > 0 {
			name := at.dirs[n-1]
			at.dirs = at.dirs[:n-1]
			if err := v.enter(name); err != nil {
				return p.failed(name, err)
			}
			p.names = append(p.names, name)
			if err := down(); err != nil {
				return err
			}
			continue
		}
		if err := v.done(at.entries); err != nil {
			return p.failed("", err)
		}
		if levels = levels[:len(levels)-1]; len(levels) == 0 {
			return nil
		}
		for _, s := range []*side{p.tree, p.copy} {
			if err := s.leave(); err != nil {
				return p.failed("", err)
			}
		}
		p.names = p.names[:len(p.names)-1]
	}
}

// list goes through the entries of the tree's open directory.
func (p *pair) list(ctx context.Context, v visitor) (dirs []string, entries int64, err error) {
	p.saw(&p.tree.at)
	for {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		list, err := beneath.List(p.tree.fd, p.buf)
		if err != nil {
			return nil, 0, p.failed("", err)
		}
		if len(list) == 0 {
			return dirs, entries, nil
		}
		for e, rest, ok := beneath.Next(list); ok; e, rest, ok = beneath.Next(rest) {
			entries++
			var st beneath.Stat
			err := p.tree.calls.Lstat(p.tree.fd, &e.Name[0], &st)
			switch {
			case err != nil:
			case st.Mount != 0 && st.Mount != p.tree.at.Mount:
				err = ErrMounted
			case st.Type() == unix.S_IFDIR:
				dirs = append(dirs, string(e.Name))
			default:
				p.saw(&st)
				err = v.file(e.Name, &st)
			}
			if err != nil {
				return nil, 0, p.failed(string(e.Name), err)
			}
		}
	}
}

// saw adds what was seen to the sum.
func (p *pair) saw(st *beneath.Stat) {
	p.sum.Entries++
	if st.Change.After(p.sum.Newest) {
		p.sum.Newest = st.Change
	}
}

// failed is the error of an entry of the open directory, or of that itself.
func (p *pair) failed(name string, err error) error {
	path := strings.Join(p.names, "/")
	if name != "" {
		path += "/" + name
	}
	return fmt.Errorf("%s: %w", beneath.Shown(path), err)
}

// pairOf opens a tree and its copy.
func pairOf(calls beneath.Calls, from *os.File, name string, to *os.File, as string) (*pair, error) {
	tree, err := open(calls, from, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", beneath.Shown(name), err)
	}
	copied, err := open(calls, to, as)
	if err != nil {
		tree.close()
		return nil, fmt.Errorf("%s: %w", beneath.Shown(as), err)
	}
	return &pair{tree: tree, copy: copied, names: []string{name}, buf: make([]byte, beneath.ListSize)}, nil
}

func (p *pair) close() {
	p.tree.close()
	p.copy.close()
}
