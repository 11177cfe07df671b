package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// The places below the data root.
const (
	Dir     = ".docker-orphans"
	Runs    = Dir + "/runs"
	Lock    = Dir + "/lock"
	Reserve = Dir + "/reserve"
	Deep    = Dir + "/deep" // parts of trees that lay too deep, until they are unlinked
)

// RunDir is a run's directory, below the data root.
func RunDir(run string) string { return path.Join(Runs, run) }

// File is a run's journal, below the data root.
func File(run string) string { return path.Join(RunDir(run), "journal") }

// Below reports whether a path leads to something in the state directory.
func Below(name string) bool { return strings.HasPrefix(name, Dir+"/") }

// maxJournal bounds a journal's size: a hundred thousand steps fit.
const maxJournal = 1 << 30

// A Run is what a journal says of one run.
type Run struct {
	ID       string // sorts by time
	Plan     *Plan  // nil: it was cut off before it began, and took nothing
	Began    time.Time
	Until    time.Time     // when its quarantine ends; zero: never by itself
	Owner    *scan.Process // the daemon that ran; nil if none did
	At       Identity      // the run's directory as it was made; zero if that was not written down
	Looked   bool          // everything was looked at again before anything was unlinked
	Done     bool
	Outcomes []Outcome

	taken   map[int]bool   // by Looked
	intents map[int]intent // of steps: Restore or Purge, whichever came last
}

// An intent is what is meant to become of a step in quarantine.
type intent struct {
	kind Kind
	time time.Time
	as   string
	made *Identity
}

// Taken reports whether a step was to be carried to its end.
func (run *Run) Taken(step int) bool { return run.taken[step] }

// Restored reports whether a step was to be brought back from quarantine.
func (run *Run) Restored(step int) bool { return run.intents[step].kind == Restore }

// RestoreAs is the name that a volume was to be brought back under, "" if that
// is its own, and when that was said.
func (run *Run) RestoreAs(step int) (name string, said time.Time) {
	i := run.intents[step]
	return i.as, i.time
}

// Made is the volume that the daemon has made to bring a step back into; nil if
// it has not.
func (run *Run) Made(step int) *Identity { return run.intents[step].made }

// Purged reports whether a step in quarantine was to be freed for good.
func (run *Run) Purged(step int) bool { return run.intents[step].kind == Purge }

// Read reads all runs of a data root, the oldest first. What cannot be read
// is an error: it may say what must not be touched. If that is an [UnreadError],
// the other runs are returned too.
func Read(tree scan.Tree) ([]*Run, error) { return (&Reader{}).Read(tree) }

// A Reader reads the runs of one data root again and again. A journal that is
// as it was is not read anew: each look of a run would read its own plan.
type Reader struct {
	known map[string]known // by run
}

// known is a journal that was read, and what it looked like before.
type known struct {
	run   *Run
	stamp scan.Stamp
	size  int64
}

// Read is [Read].
func (r *Reader) Read(tree scan.Tree) ([]*Run, error) {
	entries, err := tree.ReadDir(Runs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing was ever removed
	}
	if err != nil {
		return nil, err
	}
	known := make(map[string]known, len(entries))
	var runs []*Run
	var unread UnreadError
	for _, e := range entries {
		if e.Type.IsRegular() {
			continue // a file that somebody left there: no run
		}
		k, err := r.read(tree, e.Name)
		if err != nil {
			unread = append(unread, RunError{e.Name, err})
			continue
		}
		known[e.Name] = k
		runs = append(runs, k.run)
	}
	r.known = known
	if unread != nil {
		return runs, unread
	}
	return runs, nil
}

func (r *Reader) read(tree scan.Tree, id string) (known, error) {
	info, err := tree.Stat(File(id))
	if errors.Is(err, fs.ErrNotExist) {
		return known{run: &Run{ID: id}}, untaken(tree, id)
	}
	if err != nil {
		return known{}, err
	}
	if k, ok := r.known[id]; ok && k.stamp == info.Stamp && k.size == info.Size {
		return k, nil
	}
	data, err := tree.ReadFile(File(id), maxJournal)
	if err != nil {
		return known{}, err
	}
	run, err := Parse(id, data)
	if err == nil && run.Plan == nil {
		err = untaken(tree, id)
	}
	if err != nil {
		return known{}, fmt.Errorf("%s: %w", File(id), err)
	}
	return known{run, info.Stamp, info.Size}, nil
}

// untaken is an error if a run without a plan has taken anything: it was not cut
// off before it began, as one is that has not. Its journal is damaged.
func untaken(tree scan.Tree, id string) error {
	for _, dir := range []string{"held", "trash"} {
		entries, err := tree.ReadDir(path.Join(RunDir(id), dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(entries) > 0 {
			return fmt.Errorf("the plan is lost, and %s/%s is not empty: look at what is there, and move it away", RunDir(id), dir)
		}
	}
	return nil
}

// below reports whether a path leads to something below the data root that is
// not ours.
func below(name string) bool {
	return fs.ValidPath(name) && name != "." && name != Dir && !Below(name)
}
