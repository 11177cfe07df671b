package prune

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"
	"time"

	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// runTime is how a run's name begins.
const runTime = "20060102T150405"

// newRunID returns a name for a run that sorts by time.
func newRunID(now time.Time) string {
	var random [3]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return fmt.Sprintf("%s-%x", now.UTC().Format(runTime), random)
}

// append adds a record to a run's journal. Once it returns, the record is on
// stable storage. A full disk is met with the space that was put by for that.
func (r *Runner) append(run string, record journal.Record) error {
	record.Version, record.Time = journal.Version, r.Now().UTC()
	line, err := record.Line()
	if err != nil {
		return err
	}
	return r.withReserve(func() error { return r.Disk.Append(journal.File(run), line) })
}

// reserveSize is the space that is put by: a journal needs less, but btrfs
// wants to be sure of some megabytes before it renames anything.
const reserveSize = 8 << 20

// withReserve tries again with the reserve given up if the disk is full.
func (r *Runner) withReserve(write func() error) error {
	err := write()
	if full(err) && r.Disk.Remove(journal.Reserve) == nil {
		err = write()
	}
	if full(err) {
		err = spaceError{err, true}
	}
	return err
}

// refill puts the reserve by again. If there is no space for it, there is
// nothing to be done about that.
func (r *Runner) refill() error {
	if _, err := r.Tree.Stat(journal.Reserve); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	noise := make([]byte, reserveSize) // incompressible, so that it takes the space up
	_, _ = rand.Read(noise)            // never fails (crypto/rand)
	err := r.Disk.Append(journal.Reserve, noise)
	if full(err) {
		return nil // there is none; the next run says so if it needs it
	}
	return err
}

// A spaceError is that of a disk too full to write a journal on.
type spaceError struct {
	error
	begun bool // something was done before
}

func (e spaceError) Unwrap() error { return e.error }

// Hint says what a person can do.
func (e spaceError) Hint() string {
	const room = "ake a few hundred kB free on the file system of the data root (a container's log, a file of yours) and run it again"
	if e.begun {
		return "m" + room + ": it goes on from where this ended"
	}
	return "nothing was touched: without a journal nothing could be put back. M" + room
}

// full reports whether an error is that of a full disk.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// noSpace says what to do about a full disk before anything was done.
func noSpace(err error) error {
	if full(err) {
		return spaceError{error: err}
	}
	return err
}

// Aside reports whether anything of a step lies in its places.
func (r *Runner) Aside(run string, s *Step) bool {
	for m := range s.Moves {
		if r.lies(run, s, m) {
			return true
		}
	}
	return false
}

// lies reports whether something is in the place of a move, as far as can be
// told.
func (r *Runner) lies(run string, s *Step, m int) bool {
	is, err := r.placed(run, s, m)
	return is || err != nil
}

// placed reports whether something is in the place of a move.
func (r *Runner) placed(run string, s *Step, m int) (bool, error) {
	var err error
	if s.Moves[m].Dataset.Name != "" {
		_, err = r.dataset(s.DatasetPlace(run, m))
	} else {
		_, err = r.Tree.Stat(s.Place(run, m))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// tidy takes away the places of a run that are empty. Those that are not stay.
func (r *Runner) tidy(run string) {
	for _, dir := range []string{"held", "trash"} {
		_ = r.Disk.Remove(path.Join(journal.RunDir(run), dir)) // not empty, or gone already: both are as they should be
	}
}
