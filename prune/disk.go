package prune

import (
	"context"
	"errors"

	"github.com/docker-orphans/docker-orphans/prune/linked"
)

// A Disk is the data root as a run writes to it: every change that a run
// makes by hand is one of these. Names are slash-separated and relative to
// the root; none follows a symbolic link, leaves the root, or crosses from the
// root's own mount to another (rule 9). A directory that is mounted on itself is
// on the root's own all the same to Rename.
//
// It is an interface so that tests can fail, or end the process, at each.
type Disk interface {
	// Mkdir makes a directory that only its owner may read. The one above
	// it must be there.
	Mkdir(name string) error
	// Rename moves a file or directory. What is at the new name already
	// stays and is an error that satisfies errors.Is(err, fs.ErrExist).
	Rename(from, to string) error
	// Append adds a line to a file, made if it is missing, and returns once
	// the line is on stable storage, and the file's name with it. What a
	// crash left of a line at the end is cut off first; after an error
	// nothing was added.
	Append(name string, data []byte) error
	// Remove unlinks a file or removes an empty directory.
	Remove(name string) error
	// RemoveTree unlinks a directory and everything below, or a file. It
	// goes on after an error and says how much it freed all the same.
	RemoveTree(ctx context.Context, name string) (freed int64, err error)
	// Free is how many bytes of the file system are free for anybody.
	Free() (int64, error)
	// Sync returns once the names in a directory are on stable storage.
	Sync(dir string) error
	Linker
}

// A Linker is the part of a [Disk] that volumes need: what the daemon is to
// remove is linked first, for it unlinks at once.
type Linker interface {
	// LinkTree makes a copy of a directory, of links (package linked), and
	// returns once it is on stable storage. After an error part of it is there.
	LinkTree(ctx context.Context, from, to string) (linked.Sum, error)
	// CompareTree checks that a directory has nothing that its copy has not:
	// linked.ErrDiffers if it has.
	CompareTree(ctx context.Context, from, copied string) (linked.Sum, error)
	// HoldsTree checks that a directory still has all that its copy has, and
	// maybe more: linked.ErrDiffers if it has not.
	HoldsTree(ctx context.Context, from, copied string) error
	// Like gives a directory the owner, mode, attributes and times of another.
	Like(from, to string) error
	// Mounted is an error if anything is mounted at or below a name, or from
	// there, in any mount namespace; or if that cannot be told (rule 6).
	Mounted(ctx context.Context, name string) error
}

// ErrOtherMount is the error of a name that lies on another mount than the
// data root itself: a rename cannot cross it, and nothing is ever copied.
var ErrOtherMount = errors.New("is on another mount than the data root, and nothing there can wait to be restored")

// ErrBusy is the error of a data root in which another run is going on, in
// the daemon's own words.
var ErrBusy = errors.New("a prune operation is already running")
