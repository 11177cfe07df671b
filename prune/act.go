package prune

import (
	"context"
	"errors"
	"path"
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// act goes through the three phases of rule 15. An error means that not all
// steps were tried. Until the second look is in the journal everything that
// was taken is put back on an error, and also when the user interrupts.
func (x *run) act(ctx context.Context) error {
	err := x.take(ctx)
	if err == nil {
		err = x.confirm(ctx)
	}
	if err != nil {
		return errors.Join(err, x.undo("the run was stopped"))
	}
	if err := x.free(ctx); err != nil {
		return errors.Join(err, x.hand(ctx)) // which only takes away what was linked
	}
	if err := x.hand(ctx); err != nil {
		return err
	}
	return x.leave(ctx)
}

// confirm looks at all sources again, puts back whatever anything asks for
// now, and writes down that the rest may go to its end (rule 15, phase 2).
func (x *run) confirm(ctx context.Context) error {
	x.Report(Event{Text: "Looking once more"})
	seen, err := x.look(ctx, x.walked())
	if err != nil {
		return err
	}
	index := indexOf(seen)
	var problems []error
	record := journal.Record{Kind: journal.Looked}
	for i := range x.plan.Steps {
		if !x.taken[i] {
			continue
		}
		s := &x.plan.Steps[i]
		var why string
		if s.Remover == journal.Link || bare(s) { // it is still where it was
			why = index.differs(s, true)
		} else {
			why = index.differs(index.aside(x.id, s), false)
		}
		if why == "" {
			record.Steps = append(record.Steps, s.ID)
			continue
		}
		problems = append(problems, x.back(i, why))
	}
	return errors.Join(append(problems, x.append(x.id, record))...)
}

// aside is the step as a look finds it that was taken: where something new
// has its path now, its objects go by their place.
func (x *index) aside(run string, s *Step) *Step {
	moved := *s
	moved.Objects = nil
	for _, o := range s.Objects {
		at := *o
		move := slices.IndexFunc(s.Moves, func(mv journal.Move) bool { return mv.From == o.Path() })
		place := s.Place(run, move) // every object has a move of its own
		if there := x.graph.Object(o.Node); there == nil || there.Path() != place {
			at.Node = scan.Node{Kind: o.Kind, Name: place}
		}
		moved.Objects = append(moved.Objects, &at)
	}
	return &moved
}

// back puts a step back.
func (x *run) back(i int, why string) error {
	x.taken[i] = false
	if err := x.putBack(x.id, &x.plan.Steps[i], putting{}); err != nil {
		x.end(i, journal.Left, why+"; it could not be put back: "+err.Error())
		return err
	}
	x.end(i, journal.PutBack, why)
	return nil
}

// undo puts everything back that was taken.
func (x *run) undo(why string) error {
	var problems []error
	for i := len(x.plan.Steps) - 1; i >= 0; i-- {
		if x.taken[i] {
			problems = append(problems, x.back(i, why))
		}
	}
	return errors.Join(problems...)
}

// free unlinks what is freed at once (rule 15, phase 3).
func (x *run) free(ctx context.Context) error {
	x.Report(Event{Text: "Removing"})
	trash := path.Join(journal.RunDir(x.id), "trash")
	_, err := x.Disk.RemoveTree(ctx, trash)
	for i := range x.plan.Steps {
		s := &x.plan.Steps[i]
		if !x.taken[i] || s.Remover == journal.Link { // those are the daemon's
			continue
		}
		x.ends[i].Bytes = Bytes(s)
		switch {
		case s.Remover == journal.Quarantine:
			x.end(i, journal.Quarantined, "")
		case s.Remover == journal.Device, s.Remover == journal.Dataset:
			x.freePooled(ctx, i)
		case err != nil && x.Aside(x.id, s):
			x.end(i, journal.Left, err.Error())
		default:
			x.end(i, journal.Freed, "")
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return nil // what is left of a step is said there; a later run frees it
}

// leave has the daemon delete what only the daemon may, looking again once a
// batch.
func (x *run) leave(ctx context.Context) error {
	var due []*Step
	walked := x.walked()
	for i := 0; i <= len(x.plan.Steps); i++ {
		if len(due) > 0 && (i == len(x.plan.Steps) || len(due) == x.Policy.BatchSteps) {
			seen, err := x.look(ctx, walked)
			if err != nil {
				return err
			}
			x.compare(seen)
			x.leaveBatch(ctx, seen, due)
			due = nil
		}
		if i < len(x.plan.Steps) && x.plan.Steps[i].Moves == nil && x.plan.Steps[i].Volume == nil && x.ends[i].End == "" {
			due = append(due, &x.plan.Steps[i])
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (x *run) leaveBatch(ctx context.Context, seen *Sight, due []*Step) {
	var adopted []*Step
	var outcomes []Outcome
	for _, s := range due {
		switch {
		case x.ends[s.ID-1].End != "":
		case s.Remover == journal.Marker:
			outcomes = append(outcomes, x.mark(s))
		default:
			adopted = append(adopted, s)
		}
	}
	if len(adopted) > 0 && x.Adopt != nil {
		outcomes = append(outcomes, x.Adopt(ctx, seen, adopted)...)
	}
	for _, o := range outcomes {
		if o.End == journal.Freed {
			o.Bytes = Bytes(x.plan.Step(o.Step))
		}
		x.ends[o.Step-1] = o
		x.Report(Event{Outcome: &o})
	}
}

// settle decides what is not decided yet.
func (x *run) settle(stopped error) {
	why := "not tried"
	if stopped != nil {
		why = stopped.Error()
	}
	for i := range x.plan.Steps {
		if x.ends[i].End == "" {
			x.end(i, journal.Skipped, why)
		}
	}
}

// finish writes down what became of the run, and takes its empty places away.
func (x *run) finish() error {
	if err := x.append(x.id, journal.Record{Kind: journal.Done, Results: x.ends}); err != nil {
		return err
	}
	x.tidy(x.id)
	return x.refill()
}
