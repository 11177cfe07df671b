package prune

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/process"
)

// Remembered is how long a run is remembered of which nothing depends on its
// journal any more: every look reads them all.
const Remembered = 90 * 24 * time.Hour

// ForgetOld removes the journals of runs that are long over and say nothing that
// anything depends on. What cannot be removed is tried again by the next run. The
// daemon is the one that runs now; nil if none does.
func (r *Runner) ForgetOld(daemon *scan.Process) error {
	since := r.Now().Add(-Remembered)
	entries, err := r.Tree.ReadDir(journal.Runs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever removed
	}
	name := since.UTC().Format(runTime)
	if err != nil || !slices.ContainsFunc(entries, func(e scan.Entry) bool { return e.Name < name }) {
		return err
	}
	runs, err := journal.Read(r.Tree)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if run.Plan != nil && run.Done && run.Began.Before(since) && !r.matters(run, daemon) {
			r.forget(run.ID)
		}
	}
	return nil
}

// matters reports whether a scan or a later run needs to know of a run: of what
// lies in its places, what it brought back, what it marked, what a running daemon
// counts because of what it took, and what is never judged because of that (rules
// 11 and 16).
func (r *Runner) matters(run *journal.Run, daemon *scan.Process) bool {
	same := run.Owner != nil && daemon != nil && process.Same(run.Owner, daemon)
	for i := range run.Plan.Steps {
		s := &run.Plan.Steps[i]
		if len(s.Shields) > 0 || run.Restored(s.ID) || same && len(s.Pins) > 0 || r.marked(s) || r.Aside(run.ID, s) {
			return true
		}
	}
	return false
}

// marked reports whether a step's mark is set, as far as can be told.
func (r *Runner) marked(s *Step) bool {
	if s.Marker == "" {
		return false
	}
	_, err := r.Tree.Stat(s.Marker)
	return !errors.Is(err, fs.ErrNotExist)
}
