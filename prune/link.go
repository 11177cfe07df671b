package prune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/containerd/errdefs"

	"github.com/docker-orphans/docker-orphans/prune/linked"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// A volume that the daemon lists is removed by the daemon (rule 6), which
// unlinks it at once. So in phase 1 of a run its files get second names in
// quarantine, and nothing of it goes; only after everything was looked at again
// is the daemon asked, once for each volume, right after the copy was compared
// with it. If the daemon declines, or anything has changed, the copy goes and
// the volume has all it had. Where that is not certain the copy stays, and cannot
// be brought back while the volume is there: the two have the same files.

// An undoError is that of what could not be brought back if it went.
type undoError struct{ error }

func (e undoError) Unwrap() error { return e.error }

func (e undoError) Error() string {
	return e.error.Error() + ": its removal could not be undone; rm --purge removes it for good"
}

// link makes the copy of a step's volume, or none.
func (x *run) link(ctx context.Context, i int) error {
	s := &x.plan.Steps[i]
	mv := &s.Moves[0]
	err := x.same(s, mv)
	if err == nil {
		err = x.Disk.Mounted(ctx, mv.From)
	}
	if err != nil {
		return err
	}
	err = x.withReserve(func() error {
		sum, err := x.Disk.LinkTree(ctx, mv.From, s.Place(x.id, 0))
		x.sums[i] = sum
		if errors.Is(err, linked.ErrImpossible) || errors.Is(err, ErrOtherMount) {
			err = undoError{err}
		}
		if err != nil {
			err = errors.Join(err, x.unlinkCopy(x.id, s))
		}
		return err
	})
	if err == nil {
		x.taken[i] = true
	}
	return err
}

// unlinkCopy takes the copy of a volume away that is still there. What was begun
// is undone though the user interrupts.
func (r *Runner) unlinkCopy(run string, s *Step) error {
	place := s.Place(run, 0)
	if _, err := r.Tree.Stat(place); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := r.Disk.RemoveTree(context.Background(), place)
	return err
}

// hand has the daemon remove the volumes that were linked, and those that go for
// good, looking again once a batch. A copy that was not needed goes.
func (x *run) hand(ctx context.Context) error {
	err := x.handAll(ctx)
	why := "not tried"
	if err != nil {
		why = err.Error()
	}
	problems := []error{err}
	for i := range x.plan.Steps {
		if x.plan.Steps[i].Remover == journal.Link && x.taken[i] && x.ends[i].End == "" {
			problems = append(problems, x.back(i, why))
		}
	}
	return errors.Join(problems...)
}

func (x *run) handAll(ctx context.Context) error {
	walked := x.walked()
	for i := range x.plan.Steps {
		s := &x.plan.Steps[i]
		if x.ends[i].End != "" || s.Remover != journal.Daemon && (s.Remover != journal.Link || !x.taken[i]) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if x.due() {
			seen, err := x.look(ctx, walked)
			if err != nil {
				return err
			}
			x.compareLinked(seen)
			x.compare(seen)
		}
		if x.ends[i].End != "" {
			continue
		}
		x.since++
		x.Report(Event{Text: "Removing volumes", Done: i + 1, Total: len(x.plan.Steps)})
		x.handOver(ctx, i)
	}
	return nil
}

// compareLinked puts back the volumes that are not what was confirmed any more.
// A copy that stays for now is not lost sight of: the next run sees to it.
func (x *run) compareLinked(seen *Sight) {
	index := indexOf(seen)
	for i := range x.plan.Steps {
		s := &x.plan.Steps[i]
		if s.Remover != journal.Link || !x.taken[i] || x.ends[i].End != "" {
			continue
		}
		if why := index.differs(s, true); why != "" {
			_ = x.back(i, why) // the step says so
		}
	}
}

// handOver has the daemon remove one volume, if it still is what was linked and
// nothing is mounted in it: the daemon would empty that, too (rule 6).
func (x *run) handOver(ctx context.Context, i int) {
	s := &x.plan.Steps[i]
	name := s.Objects[0].Path()
	err := x.same(s, &journal.Move{From: name})
	if err == nil && s.Remover == journal.Link {
		var now linked.Sum
		now, err = x.Disk.CompareTree(ctx, name, s.Place(x.id, 0))
		if err == nil && !now.Same(x.sums[i]) {
			err = fmt.Errorf("%s: %w", name, linked.ErrDiffers)
		}
	}
	if err == nil {
		err = x.unchanged(ctx, s)
	}
	if err == nil {
		err = x.Disk.Mounted(ctx, name)
	}
	if err != nil {
		x.decline(i, journal.PutBack, err)
		return
	}
	// It is not to be broken off: the daemon goes on by itself.
	err = x.Volumes.RemoveVolume(context.WithoutCancel(ctx), s.Volume.Name)
	x.handed(ctx, i, err)
}

// handed ends a step that the daemon has answered, or not. One that declines a
// volume in use says so before it touches it. After any other answer the copy
// may have what the volume has not.
func (x *run) handed(ctx context.Context, i int, answer error) {
	s := &x.plan.Steps[i]
	var whole error
	if !errdefs.IsConflict(answer) && x.stands(s) {
		whole = x.untouched(ctx, x.id, s)
	}
	switch {
	case !x.stands(s) && s.Remover == journal.Link:
		x.ends[i].Bytes = Bytes(s)
		x.end(i, journal.Quarantined, "")
		return
	case !x.stands(s):
		x.ends[i].Bytes = Bytes(s)
		x.end(i, journal.Freed, "")
		return
	case answer == nil:
		answer = errors.New("the daemon says that it is gone, and it is still there")
	}
	if whole != nil && s.Remover == journal.Link {
		x.ends[i].Bytes = Bytes(s)
		x.end(i, journal.Left, answer.Error()+"; what it had is in quarantine ("+whole.Error()+")")
		return
	}
	x.decline(i, journal.KeptByOwner, answer)
}

// stands reports whether a step's volume is still there, whole or not.
func (r *Runner) stands(s *Step) bool {
	_, err := r.Tree.Stat(s.Objects[0].Path())
	return !errors.Is(err, fs.ErrNotExist)
}

// untouched is nil if the daemon neither has removed anything of a step's volume
// nor is about to.
func (r *Runner) untouched(ctx context.Context, run string, s *Step) error {
	if err := r.idle(ctx, s.Volume.Name); err != nil {
		return fmt.Errorf("the daemon does not say what became of it: %w", err)
	}
	if s.Remover != journal.Link {
		return nil
	}
	return r.Disk.HoldsTree(ctx, s.Objects[0].Path(), s.Place(run, 0))
}

// decline ends a step whose volume did not go, nor any part of it. The copy goes.
func (x *run) decline(i int, end journal.End, why error) {
	s := &x.plan.Steps[i]
	if s.Remover != journal.Link {
		x.end(i, journal.Skipped, why.Error())
		return
	}
	x.taken[i] = false
	if err := x.unlinkCopy(x.id, s); err != nil {
		x.end(i, journal.Left, why.Error()+"; the copy of it stays: "+err.Error())
		return
	}
	x.end(i, end, why.Error())
}

// recoverLinked carries a linked volume to the end that the journal says it is
// to have: a copy that the volume does not need goes.
func (r *Runner) recoverLinked(ctx context.Context, run *journal.Run, s *Step) (Outcome, error) {
	o := Outcome{Step: s.ID, End: journal.Quarantined, Bytes: Bytes(s)}
	switch {
	case !r.Aside(run.ID, s) && run.Purged(s.ID):
		o.End = journal.Freed
		return o, nil
	case !r.Aside(run.ID, s):
		return Outcome{Step: s.ID, End: journal.Skipped, Reason: "the run was interrupted"}, nil
	case run.Purged(s.ID):
		o.End = journal.Freed
		return o, r.unlinkCopy(run.ID, s)
	case run.Restored(s.ID):
		return Outcome{Step: s.ID, End: journal.PutBack, Reason: "the run was interrupted"}, r.remake(ctx, run.ID, s, remakingOf(run, s))
	case run.Done && (run.Taken(s.ID) || !r.stands(s) || !leftOver(run, s)), run.Taken(s.ID) && !r.stands(s):
		return o, nil
	case run.Taken(s.ID):
		err := r.untouched(ctx, run.ID, s)
		if !r.stands(s) {
			return o, nil
		}
		if err != nil {
			o.End, o.Reason = journal.Left, "the daemon may not have removed it to the end: "+scan.Printable(err.Error())
			return o, ctx.Err()
		}
	}
	return Outcome{Step: s.ID, End: journal.PutBack, Reason: "the run was interrupted"}, r.unlinkCopy(run.ID, s)
}

// recoverHanded says what became of a volume that the daemon was to remove for
// good. It may be at it.
func (r *Runner) recoverHanded(ctx context.Context, run *journal.Run, s *Step) Outcome {
	why := "the run was interrupted"
	if !run.Done && s.Volume != nil && r.stands(s) {
		if err := r.idle(ctx, s.Volume.Name); err != nil {
			why += ": the daemon does not say what became of it: " + scan.Printable(err.Error())
		}
	}
	if s.Volume != nil && !r.stands(s) {
		return Outcome{Step: s.ID, End: journal.Freed, Bytes: Bytes(s)}
	}
	return Outcome{Step: s.ID, End: journal.Skipped, Reason: why}
}

// leftOver reports whether a run that has ended could not end a step.
func leftOver(run *journal.Run, s *Step) bool {
	return slices.ContainsFunc(run.Outcomes, func(o Outcome) bool { return o.Step == s.ID && o.End == journal.Left })
}
