package unlink

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// Options say how a tree goes.
type Options struct {
	// Mounted returns an error if anything is mounted at or below the tree in
	// any mount namespace, or if that cannot be told. It must be set. It is
	// called before the first act, each second, and after the last; it may
	// answer from what was read up to a second ago.
	Mounted func() error

	// Trash is a directory on the same mount that a directory too deep in the
	// tree is renamed to, below an entry that Remove makes and, once it is
	// empty, removes. If it is nil, such directories stay.
	Trash *os.File

	// ClearFlags takes the immutable and append-only flags off what they keep
	// from being removed, if its inode has no other name, and the read-only flag
	// off a subvolume that has others in it.
	ClearFlags bool

	// Link allows the tree to be a symbolic link, which is then unlinked itself.
	Link bool

	// Uncounted leaves Report.Bytes of files at zero, and spares a call for each.
	Uncounted bool
}

// A Report is what became of a tree.
type Report struct {
	Files int64 // entries removed that were no directories
	Dirs  int64
	Bytes int64     // st_blocks*512 of the inodes whose last name went; not of what went with its subvolume
	Left  []Problem // what stayed and why: the first by path, at most MaxLeft
	Stay  int64     // how many problems there were; those above a problem stay too
	Deep  string    // the entry of Trash that still holds part of the tree; "" if none does
}

// MaxLeft is how many problems a report tells.
const MaxLeft = 100

// A Problem is an entry that stays.
type Problem struct {
	Path string // from the tree's name on, or, for a part that was too deep, from Report.Deep on
	Err  error
}

// Error returns the path and the reason, printable.
func (p *Problem) Error() string { return beneath.Shown(p.Path) + ": " + p.Err.Error() }

// Unwrap returns the reason.
func (p *Problem) Unwrap() error { return p.Err }

// Reasons why something stays, besides the kernel's.
var (
	ErrMount   = errors.New("is a mount point")
	ErrSymlink = errors.New("is a symbolic link")
	ErrDeep    = errors.New("lies too deep, and there is no trash to move it to")
	ErrLinks   = errors.New("is immutable or append-only, and its inode has other names")
	ErrGrows   = errors.New("is being filled while it is being emptied")
	ErrNested  = errors.New("is a subvolume with another in it that was not found, or that came meanwhile")
	ErrUnsafe  = errors.New("neither openat2 nor a mount id: cannot be told from a mount point")
	ErrUnasked = errors.New("nobody was asked what is mounted")
	ErrTrash   = errors.New("is not on the tree's mount")
)

// left notes a problem, if it is among the first.
func (r *Report) left(p Problem) {
	r.Stay++
	i, _ := slices.BinarySearchFunc(r.Left, p, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	if i == MaxLeft {
		return
	}
	r.Left = slices.Insert(r.Left, i, p)
	r.Left = r.Left[:min(len(r.Left), MaxLeft)]
}

// add adds what another worker did.
func (r *Report) add(o *Report) {
	r.Files += o.Files
	r.Dirs += o.Dirs
	r.Bytes += o.Bytes
	stay := r.Stay + o.Stay
	for _, p := range o.Left {
		r.left(p)
	}
	r.Stay = stay
}
