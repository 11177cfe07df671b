package prune

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// Recover ends what interrupted runs began: one that had not looked again is
// put back, one that had is carried to its end (rule 15). What cannot be put
// back stays where it is, kept, and is tried again by the next run.
func (r *Runner) Recover(ctx context.Context) (recovered []*journal.Run, err error) {
	runs, err := journal.Read(r.Tree)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, run := range runs {
		if run.Done {
			problems = append(problems, r.resume(ctx, run))
			continue
		}
		if err := ctx.Err(); err != nil {
			return recovered, err
		}
		if run.Plan == nil {
			r.tidy(run.ID)                            // it was cut off before it began
			_ = r.Disk.Remove(journal.File(run.ID))   // there may be none, or half a line
			_ = r.Disk.Remove(journal.RunDir(run.ID)) // if it is not empty, it is tried again by the next run
			continue
		}
		if err := r.recover(ctx, run); err != nil {
			problems = append(problems, fmt.Errorf("run %s: %w", run.ID, err))
			continue
		}
		recovered = append(recovered, run)
	}
	return recovered, errors.Join(problems...)
}

func (r *Runner) recover(ctx context.Context, run *journal.Run) error {
	if run.Looked {
		if _, err := r.Disk.RemoveTree(ctx, path.Join(journal.RunDir(run.ID), "trash")); err != nil {
			return err
		}
	}
	for i := range run.Plan.Steps {
		s := &run.Plan.Steps[i]
		o := Outcome{Step: s.ID, End: journal.Skipped, Reason: "the run was interrupted"}
		switch {
		case run.Taken(s.ID) && s.Remover == journal.Quarantine && r.Aside(run.ID, s):
			o = Outcome{Step: s.ID, End: journal.Quarantined, Bytes: sizeOf(s)}
		case run.Taken(s.ID) && s.Remover == journal.Free:
			o = Outcome{Step: s.ID, End: journal.Freed, Bytes: sizeOf(s)}
		case r.Aside(run.ID, s):
			o.End = journal.PutBack
			if err := r.putBack(run.ID, s); err != nil {
				return err
			}
		}
		run.Outcomes = append(run.Outcomes, o)
	}
	if err := r.append(run.ID, journal.Record{Kind: journal.Done, Results: run.Outcomes}); err != nil {
		return err
	}
	r.tidy(run.ID)
	return nil
}

// resume ends a restore or a purge that was interrupted.
func (r *Runner) resume(ctx context.Context, run *journal.Run) error {
	var problems []error
	for i := range run.Plan.Steps {
		s := &run.Plan.Steps[i]
		var err error
		switch {
		case !run.Restored(s.ID) && !run.Purged(s.ID), !r.Aside(run.ID, s):
			continue
		case run.Restored(s.ID):
			err = r.putBack(run.ID, s)
		default:
			err = r.unlink(ctx, run.ID, s)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("run %s: %w", run.ID, err))
		}
	}
	r.tidy(run.ID)
	return errors.Join(problems...)
}
