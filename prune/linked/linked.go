package linked

import (
	"errors"
	"time"
)

// A Sum is what a tree looked like when all of it was seen.
type Sum struct {
	Entries int64     // files and directories, the tree's own one too
	Newest  time.Time // the newest change (ctime) of any
}

// Same reports whether nothing has changed between two.
func (s Sum) Same(other Sum) bool { return s.Entries == other.Entries && s.Newest.Equal(other.Newest) }

var (
	// ErrImpossible is the error of a tree that cannot be linked as a whole.
	ErrImpossible = errors.New("links are impossible here")
	// ErrDiffers is the error of a tree that is not what its copy is.
	ErrDiffers = errors.New("has changed since it was linked")
	// ErrMounted is the error of a tree with something mounted in it.
	ErrMounted = errors.New("is a mount point")
)
