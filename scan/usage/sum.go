package usage

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// errMount is the problem of what lies behind a mount point.
var errMount = errors.New("is a mount point")

// A sum is what one goroutine found.
type sum struct {
	bytes   int64
	inodes  int64
	newest  time.Time
	shared  bool // others may have some of the bytes too
	trouble remark
	unread  bool // of what is in trouble some is no mount
	opened  remark
	telling []string // paths, sorted
}

// A remark is something to say about a path.
type remark struct {
	path string
	text string // "" if there is nothing to say
}

// put keeps the remark whose path comes first.
func (r *remark) put(new remark) {
	if new.text != "" && (r.text == "" || cmp.Or(cmp.Compare(new.path, r.path), cmp.Compare(new.text, r.text)) < 0) {
		*r = new
	}
}

// problem says that a path could not be read.
func (s *sum) problem(path string, err error) {
	s.trouble.put(remark{path: path, text: err.Error()})
	s.unread = s.unread || !errors.Is(err, errMount)
}

// tell adds a telling path.
func (s *sum) tell(path string) {
	at, found := slices.BinarySearch(s.telling, path)
	if found || at == tellingMax {
		return
	}
	s.telling = slices.Insert(s.telling, at, path)
	s.telling = s.telling[:min(len(s.telling), tellingMax)]
}

func (s *sum) add(other *sum) {
	s.bytes += other.bytes
	s.inodes += other.inodes
	if other.newest.After(s.newest) {
		s.newest = other.newest
	}
	s.shared = s.shared || other.shared
	s.trouble.put(other.trouble)
	s.unread = s.unread || other.unread
	s.opened.put(other.opened)
	for _, path := range other.telling {
		s.tell(path)
	}
}

func (s *sum) usage() scan.Usage {
	u := scan.Usage{
		Bytes:    s.bytes,
		Inodes:   s.inodes,
		Newest:   s.newest,
		Complete: s.trouble.text == "",
		AtMost:   s.shared,
		OpenedBy: s.opened.text,
	}
	if !u.Complete {
		u.MountsOnly = !s.unread
		u.Problem = beneath.Shown(s.trouble.path) + ": " + s.trouble.text
	}
	for _, path := range s.telling {
		u.Telling = append(u.Telling, beneath.Shown(path))
	}
	return u
}
