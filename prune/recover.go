package prune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// Recover ends what earlier runs began and did not end: a run that had not
// looked again is put back, one that had is carried to its end (rule 15), and
// so is a restore or a purge. It returns the runs that had no end. What cannot
// be moved stays where it is, kept, and is tried again by the next run; the
// rest of its run has its end all the same. So has every run beside one whose
// journal cannot be read: no run touches what another took.
func (r *Runner) Recover(ctx context.Context) (interrupted []*journal.Run, err error) {
	runs, unread := journal.Read(r.Tree)
	problems := []error{unread}
	for _, run := range runs {
		if err := ctx.Err(); err != nil {
			return interrupted, err
		}
		if run.Plan == nil {
			r.forget(run.ID)
			continue
		}
		if err := r.recover(ctx, run); err != nil {
			problems = append(problems, fmt.Errorf("run %s: %w", run.ID, err))
		}
		if !run.Done && run.Outcomes != nil {
			interrupted = append(interrupted, run)
		}
	}
	return interrupted, errors.Join(append(problems, r.shallow(ctx))...)
}

// shallow unlinks parts of trees that a run moved up and did not get to.
func (r *Runner) shallow(ctx context.Context) error {
	entries, err := r.Tree.ReadDir(journal.Deep)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	problems := []error{err}
	for _, e := range entries {
		_, err := r.Disk.RemoveTree(ctx, path.Join(journal.Deep, e.Name))
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// forget takes away what is left of a run that was cut off before it began.
// What cannot be removed is tried again by the next run.
func (r *Runner) forget(run string) {
	r.tidy(run)
	_ = r.Disk.Remove(journal.File(run)) // there may be none
	_ = r.Disk.Remove(journal.RunDir(run))
}

// recover ends one run. A step that cannot be carried to its end does not keep
// the run from having one, or nothing else that it took could be brought back.
func (r *Runner) recover(ctx context.Context, run *journal.Run) error {
	var problems []error
	outcomes := make([]Outcome, 0, len(run.Plan.Steps))
	for i := range run.Plan.Steps {
		o, err := r.recoverStep(ctx, run, &run.Plan.Steps[i])
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err()) // of the rest nothing is known
		}
		if err != nil {
			problems = append(problems, err)
			o = Outcome{Step: o.Step, End: journal.Left, Reason: "the run was interrupted, and then: " + scan.Printable(err.Error())}
		}
		outcomes = append(outcomes, o)
	}
	if !run.Done {
		if err := r.append(run.ID, journal.Record{Kind: journal.Done, Results: outcomes}); err != nil {
			return errors.Join(append(problems, err)...)
		}
		run.Outcomes = outcomes
	}
	r.tidy(run.ID)
	return errors.Join(problems...)
}

// recoverStep carries a step to the end that the journal says it is to have.
func (r *Runner) recoverStep(ctx context.Context, run *journal.Run, s *Step) (Outcome, error) {
	o := Outcome{Step: s.ID, End: journal.Skipped, Reason: "the run was interrupted"}
	if s.Marker != "" {
		return o, r.withdraw(s)
	}
	switch s.Remover {
	case journal.Link:
		return r.recoverLinked(ctx, run, s)
	case journal.Daemon:
		return r.recoverHanded(ctx, run, s), nil
	}
	freed := run.Taken(s.ID) && !s.Waits() || run.Purged(s.ID)
	var awake error
	if freed {
		awake = r.awake(run.ID, s)
	}
	switch {
	case bare(s): // whether it is gone the next scan finds out
		return o, nil
	case awake != nil:
		return Outcome{Step: s.ID, End: journal.Left, Reason: awake.Error()}, nil
	case !r.Aside(run.ID, s):
		if freed {
			o = Outcome{Step: s.ID, End: journal.Freed, Bytes: Bytes(s)}
		}
		return o, nil
	case freed:
		o = Outcome{Step: s.ID, End: journal.Freed, Bytes: Bytes(s)}
		return o, r.unlink(ctx, run.ID, s)
	case run.Restored(s.ID), !run.Taken(s.ID):
		return r.recoverBack(ctx, run, s)
	}
	return Outcome{Step: s.ID, End: journal.Quarantined, Bytes: Bytes(s)}, nil
}

// recoverBack puts a step back that the journal says is to be.
func (r *Runner) recoverBack(ctx context.Context, run *journal.Run, s *Step) (Outcome, error) {
	o := Outcome{Step: s.ID, End: journal.PutBack, Reason: "the run was interrupted"}
	how := putting{copied: r.Copied(run)}
	if run.Restored(s.ID) {
		how.as, _ = run.RestoreAs(s.ID)
	}
	err := r.offlineOnly(s)
	if err == nil {
		err = r.putBack(run.ID, s, how)
	}
	if (errors.Is(err, fs.ErrExist) || errors.Is(err, errOfflineOnly)) && r.superseded(run.ID, s) {
		o.Reason = "the run was interrupted, and the daemon has registered the layer anew since"
		return o, r.unlink(ctx, run.ID, s)
	}
	if errors.Is(err, errOfflineOnly) {
		err = fmt.Errorf("%s: %w: %s", scan.Printable(s.Finding), err, errOfflineOnly.Hint())
	}
	return o, err
}

// superseded reports whether all that is left in a step's places is the record
// of a layer that the daemon has registered anew: pulled or built again while
// the record was away. It is named for its content, so the two say the same of
// it, and each names a copy of its own.
func (r *Runner) superseded(run string, s *Step) bool {
	if s.Type != scan.TypeImageLayer {
		return false
	}
	for m := range s.Moves {
		record := s.Moves[m].From == s.Objects[0].Path()
		if !record && r.lies(run, s, m) {
			return false
		}
	}
	_, err := r.Tree.Stat(path.Join(s.Objects[0].Path(), "cache-id"))
	return err == nil
}
