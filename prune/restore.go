package prune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// A Held is a step of a run that lies in quarantine.
type Held struct {
	Run  *journal.Run
	Step *Step
}

// Held lists what lies in quarantine, the oldest run first. What cannot be told
// is listed. If the error is a [journal.UnreadError], what the other runs have
// is returned too.
func (r *Runner) Held() ([]Held, error) {
	runs, unread := journal.Read(r.Tree)
	var held []Held
	for _, run := range runs {
		if run.Plan == nil || !run.Done {
			continue
		}
		for i := range run.Plan.Steps {
			s := &run.Plan.Steps[i]
			if s.Waits() && r.ZFS == nil && slices.ContainsFunc(s.Moves, func(m journal.Move) bool { return m.Dataset.Name != "" }) {
				return nil, fmt.Errorf("run %s: %w", run.ID, errNotAsked)
			}
			if s.Waits() && r.Aside(run.ID, s) {
				held = append(held, Held{run, s})
			}
		}
	}
	return held, unread
}

// Restore brings steps back from quarantine, to where they were, owners,
// modes and times as they were. That it was asked for is in the journal first:
// what is back is kept from then on, until something live names it or a user
// removes it by id. It goes on after an error.
func (r *Runner) Restore(ctx context.Context, held []Held) (restored []Held, err error) {
	var problems []error
	for _, h := range held {
		if err := ctx.Err(); err != nil {
			return restored, err
		}
		if err := r.restore(ctx, h, ""); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", scan.Printable(h.Step.Finding), err))
			continue
		}
		restored = append(restored, h)
	}
	return restored, errors.Join(problems...)
}

// RestoreAs is Restore for a volume that gets another name.
func (r *Runner) RestoreAs(ctx context.Context, h Held, name string) error {
	if err := r.restore(ctx, h, name); err != nil {
		return fmt.Errorf("%s: %w", scan.Printable(h.Step.Finding), err)
	}
	return nil
}

func (r *Runner) restore(ctx context.Context, h Held, as string) error {
	if err := r.restorable(ctx, h, as, nil); err != nil {
		return err
	}
	said := r.Now()
	if err := r.append(h.Run.ID, journal.Record{Kind: journal.Restore, Steps: []int{h.Step.ID}, As: as}); err != nil {
		return err
	}
	var err error
	if h.Step.Remover == journal.Link {
		err = r.remake(ctx, h.Run.ID, h.Step, remaking{as: as, said: said})
	} else {
		err = r.putBack(h.Run.ID, h.Step, putting{as, r.Copied(h.Run)})
	}
	if err != nil {
		return err
	}
	r.tidy(h.Run.ID)
	return nil
}

// errHalfFreed is the error of bringing back what a purge could not free to the end.
var errHalfFreed = halfFreedError{errors.New("it was being freed, and parts of it may be gone")}

type halfFreedError struct{ error }

// Hint says what a person can do.
func (halfFreedError) Hint() string { return "purge frees the rest" }

// restorable checks, before anything is moved, that nothing stands in the
// way, that the directories are still there (one is never made: rule 13), that
// what the step's layers lie on is, or comes back with others, and that a daemon
// that runs would know of it.
func (r *Runner) restorable(ctx context.Context, h Held, as string, with []Held) error {
	if err := errors.Join(nameable(h.Step, as), r.offlineOnly(h.Step)); err != nil {
		return err
	}
	if h.Run.Purged(h.Step.ID) {
		return errHalfFreed
	}
	if h.Step.Remover == journal.Link {
		if err := r.apart(h); err != nil {
			return err
		}
		return r.makable(ctx, cmp.Or(as, h.Step.Volume.Name))
	}
	if isVolume(h.Step.Type) {
		if err := r.unknown(ctx, path.Base(target(h.Step, 0, as))); err != nil {
			return takenError{err}
		}
	}
	for m := range h.Step.Moves {
		if !r.lies(h.Run.ID, h.Step, m) {
			continue
		}
		if err := r.room(h.Step, m, as); err != nil {
			return err
		}
		if err := r.whole(h, m); err != nil {
			return err
		}
	}
	return r.needs(h, with)
}

// whole checks that what lies in the place of a move is what was put there.
func (r *Runner) whole(h Held, m int) error {
	mv := &h.Step.Moves[m]
	if mv.Dataset.Name == "" {
		return r.original(mv, h.Step.Place(h.Run.ID, m), r.Copied(h.Run))
	}
	place := h.Step.DatasetPlace(h.Run.ID, m)
	state, err := r.dataset(place)
	if err == nil && state.GUID != mv.Dataset.GUID {
		err = fmt.Errorf("%s: is not what was shown", place)
	}
	return err
}

// room checks that a move can be taken back.
func (r *Runner) room(s *Step, m int, as string) error {
	mv := &s.Moves[m]
	if mv.Dataset.Name != "" {
		return r.vacant(mv.Dataset.Name)
	}
	to := target(s, m, as)
	if _, err := r.Tree.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("%s: something else is there now", to)
		}
		if isVolume(s.Type) {
			err = takenError{err}
		}
		return err
	}
	dir := path.Dir(mv.From)
	if above := nesting(mv.From); len(above) > 0 {
		dir = path.Dir(above[len(above)-1])
	}
	_, err := r.Tree.Stat(dir)
	return err
}

// A needError is that of what lies on something that is gone.
type needError struct {
	error
	left []string // where it is
}

func (e needError) Unwrap() error { return e.error }

// Hint says what a person can do.
func (e needError) Hint() string {
	hint := "what it lies on was removed since, maybe with an image, and without that it is no container's layer"
	if len(e.left) > 0 {
		hint += "; what it wrote is there until it is purged, to be copied from below the data root: " + strings.Join(e.left, ", ")
	}
	return hint
}

// lacks is the error of a thing in quarantine that needs what is not there.
func lacks(h Held, needed string, err error) error {
	e := needError{error: fmt.Errorf("it needs %w", err)}
	if !strings.HasPrefix(err.Error(), needed+":") {
		e.error = fmt.Errorf("it needs %s: %w", needed, err)
	}
	for _, o := range h.Step.Objects {
		m := slices.IndexFunc(h.Step.Moves, func(mv journal.Move) bool { return mv.From == o.Path() })
		if m >= 0 && o.Kind == scan.KindLayer && h.Step.Moves[m].Dataset.Name == "" && !strings.HasSuffix(o.Name, "-init") {
			e.left = append(e.left, h.Step.Place(h.Run.ID, m))
		}
	}
	return e
}

// needs checks that what a step needs is there or comes back with it or before.
func (r *Runner) needs(h Held, with []Held) error {
	if h.Step.Damaged || h.Step.Type == scan.TypeImageLayer {
		return nil // taken to repair what is broken, and put back as broken as it was
	}
	own, datasets := map[string]bool{}, false
	for _, m := range h.Step.Moves {
		own[m.From] = true
		datasets = datasets || m.Dataset.Name != ""
	}
	for _, ref := range h.Step.Refs {
		if own[ref.To.Name] || ref.Why.Leads() {
			continue
		}
		switch ref.To.Kind {
		case scan.KindLayer, scan.KindLink, scan.KindChain:
			if datasets && ref.To.Kind == scan.KindLayer {
				continue // what a dataset is a clone of is there: zfs sees to that
			}
			if err := r.there(ref.To, with); err != nil {
				return lacks(h, ref.To.Name, err)
			}
		}
	}
	return nil
}

// there checks that a node is on disk, or comes back, and, if it is a link, what
// it leads to.
func (r *Runner) there(n scan.Node, with []Held) error {
	name := n.Name
	back := comes(with, name)
	if n.Kind == scan.KindLink {
		var target string
		var err error
		if back != nil {
			target = back.Target
		} else if target, err = r.Tree.ReadLink(name); err != nil {
			return err
		}
		name = path.Join(path.Dir(name), target)
		back = comes(with, name)
	}
	if back != nil {
		return nil
	}
	_, err := r.Tree.Stat(name)
	return err
}

// comes is the move by which a name comes back with others; nil if it does not.
func comes(with []Held, name string) *journal.Move {
	for _, h := range with {
		for m := range h.Step.Moves {
			if from := h.Step.Moves[m].From; name == from || strings.HasPrefix(name, from+"/") {
				return &h.Step.Moves[m]
			}
		}
	}
	return nil
}

// Purge frees for good what lies in quarantine. It goes on after an error.
func (r *Runner) Purge(ctx context.Context, held []Held) (purged []Held, err error) {
	var problems []error
	for _, h := range held {
		if err := ctx.Err(); err != nil {
			return purged, err
		}
		if err := r.purge(ctx, h); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", scan.Printable(h.Step.Finding), err))
			continue
		}
		purged = append(purged, h)
	}
	return purged, errors.Join(problems...)
}

func (r *Runner) purge(ctx context.Context, h Held) error {
	for m := range h.Step.Moves {
		if _, err := r.placed(h.Run.ID, h.Step, m); err != nil {
			return err // what is back already is not to be kept any less for it
		}
	}
	if err := r.awake(h.Run.ID, h.Step); err != nil {
		return err // nothing is announced that cannot be done now
	}
	if err := r.append(h.Run.ID, journal.Record{Kind: journal.Purge, Steps: []int{h.Step.ID}}); err != nil {
		return err
	}
	if err := r.unlink(ctx, h.Run.ID, h.Step); err != nil {
		return err
	}
	r.tidy(h.Run.ID)
	return nil
}

// unlink frees what lies in a step's places, and first what they are records
// of.
func (r *Runner) unlink(ctx context.Context, run string, s *Step) error {
	if err := r.deleteDevices(ctx, run, s); err != nil {
		return err
	}
	if err := r.destroyDatasets(ctx, run, s); err != nil {
		return err
	}
	for m := range s.Moves {
		place := s.Place(run, m)
		if _, err := r.Tree.Stat(place); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if _, err := r.Disk.RemoveTree(ctx, place); err != nil {
			return err
		}
	}
	return nil
}
