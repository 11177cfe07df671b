package prune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/driver"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// begin makes the run's places and writes the plan to stable storage: from
// here on, whatever lies in a place can be put back (rule 10).
func (x *run) begin() error {
	for _, dir := range []string{journal.Runs, journal.RunDir(x.id), path.Join(journal.RunDir(x.id), "held"), path.Join(journal.RunDir(x.id), "trash")} {
		err := x.withReserve(func() error { return x.Disk.Mkdir(dir) })
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return noSpace(err)
		}
	}
	at, err := x.Tree.Stat(journal.RunDir(x.id))
	if err != nil {
		return err
	}
	record := journal.Record{Kind: journal.Begun, Plan: &x.plan, Owner: x.owner, At: journal.IdentityOf(at.Stamp, at.Subvolume)}
	if x.Policy.Keep > 0 {
		record.Until = x.Now().Add(x.Policy.Keep)
	}
	err = x.append(x.id, record)
	for _, dir := range []string{journal.Runs, journal.Dir, "."} { // the first run has made them all
		if err == nil {
			err = x.Disk.Sync(dir)
		}
	}
	return noSpace(err)
}

// take renames everything that goes by hand to its place, looking again once
// a batch (rule 15, phase 1).
func (x *run) take(ctx context.Context) error {
	walked := x.walked()
	for i := range x.plan.Steps {
		s := &x.plan.Steps[i]
		if x.ends[i].End != "" || s.Moves == nil && !bare(s) {
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
			x.compare(seen)
		}
		x.orphaned()
		if x.ends[i].End != "" {
			continue
		}
		x.since++
		if err := x.takeStep(ctx, i); err != nil {
			x.end(i, x.untaken(s), err.Error())
			if errors.Is(err, errStop) {
				return err
			}
		}
		x.Report(Event{Text: "Setting aside", Done: i + 1, Total: len(x.plan.Steps)})
	}
	return nil
}

// untaken is how a step ends that could not be taken: as if it was never begun,
// or with a part of it aside.
func (x *run) untaken(s *Step) journal.End {
	if x.Aside(x.id, s) {
		return journal.Left
	}
	return journal.Skipped
}

// takeStep makes all moves of a step, or none.
func (x *run) takeStep(ctx context.Context, i int) error {
	s := &x.plan.Steps[i]
	if s.Remover == journal.Link {
		return x.link(ctx, i)
	}
	if err := x.loose(ctx, s); err != nil {
		return err
	}
	if err := x.unchanged(ctx, s); err != nil {
		return err
	}
	for m := range s.Moves {
		if err := x.move(ctx, s, m); err != nil {
			if back := x.putBack(x.id, s, putting{}); back != nil {
				return fmt.Errorf("%w; and could not be put back: %w: %w", err, back, errStop)
			}
			return err
		}
	}
	for m := range s.Moves {
		for _, dir := range nesting(s.Moves[m].From) {
			_ = x.Disk.Remove(dir) // if it is not empty, another record is in it
		}
	}
	x.mountPoints(s)
	x.taken[i] = true
	return nil
}

// nesting lists the directories, the innermost first, that there are only
// because a mount record's name has slashes, as that of an image mount has.
func nesting(name string) []string {
	registry, record, ok := strings.Cut(name, "/layerdb/mounts/")
	var dirs []string
	for ok && strings.Contains(record, "/") {
		record = path.Dir(record)
		dirs = append(dirs, registry+"/layerdb/mounts/"+record)
	}
	return dirs
}

// move makes one move, if what lies there is still what was confirmed. Should
// it be swapped between the look and the rename, it is swapped back.
func (x *run) move(ctx context.Context, s *Step, m int) error {
	mv := &s.Moves[m]
	if mv.Dataset.Name != "" {
		return x.moveDataset(ctx, s, m)
	}
	if err := x.same(s, mv); err != nil {
		return err
	}
	place := s.Place(x.id, m)
	if err := x.withReserve(func() error { return x.Disk.Rename(mv.From, place) }); err != nil {
		return err
	}
	if err := fits(x.Tree, mv, place); err != nil {
		return errors.Join(err, x.Disk.Rename(place, mv.From))
	}
	return nil
}

// same checks the stamp right before a move: device, inode, mount and change
// time (rule 8). Nothing goes that would leave a driver's directory empty: the
// daemon chooses its driver by which of them is not (rule 13).
func (x *run) same(s *Step, mv *journal.Move) error {
	at := slices.IndexFunc(s.Objects, func(o *scan.Object) bool { return o.Path() == mv.From })
	if at >= 0 {
		info, err := x.Tree.Stat(mv.From)
		if err != nil {
			return err
		}
		if info.Stamp != s.Objects[at].Stamp {
			return fmt.Errorf("%s: has changed since it was shown", mv.From)
		}
	} else if err := fits(x.Tree, mv, mv.From); err != nil {
		return err
	}
	if dir := path.Dir(mv.From); driver.Named(dir) != nil {
		return x.notLast(mv.From, dir)
	}
	return nil
}

// notLast checks that a thing is not all there is in a directory. Where a
// directory counts those in it, as on most file systems, that tells; to list
// it before every move takes long.
func (x *run) notLast(name, dir string) error {
	info, err := x.Tree.Stat(dir)
	if err != nil || info.Links > 3 { // its own two, name, and another
		return err
	}
	entries, err := x.Tree.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) < 2 {
		return fmt.Errorf("%s: is all that is left in %s, by which the daemon knows its storage driver", name, dir)
	}
	return nil
}

// fits checks that what lies at a name is what a move is about.
func fits(tree scan.Tree, mv *journal.Move, name string) error {
	if mv.Target != "" {
		target, err := tree.ReadLink(name)
		if err == nil && target != mv.Target {
			err = fmt.Errorf("%s: leads to %s, not to %s", name, scan.Printable(target), mv.Target)
		}
		return err
	}
	info, err := tree.Stat(name)
	if err == nil && !mv.Is.Fits(journal.IdentityOf(info.Stamp, info.Subvolume)) {
		err = fmt.Errorf("%s: is not what was shown", name)
	}
	return err
}

// original checks that what lies in the place of a move is what was put there. Of
// a data root that was copied since, no file is the one that it was: then what is
// in a directory that only we may change is taken for it.
func (r *Runner) original(mv *journal.Move, place string, copied bool) error {
	if copied && mv.Target == "" {
		_, err := r.Tree.Stat(place)
		return err
	}
	return fits(r.Tree, mv, place)
}

// Copied reports whether a data root was copied, to another disk for one, since a
// run put things aside: then the run's directory is another one.
func (r *Runner) Copied(run *journal.Run) bool {
	info, err := r.Tree.Stat(journal.RunDir(run.ID))
	return err == nil && run.At.Inode != 0 && !run.At.Fits(journal.IdentityOf(info.Stamp, info.Subvolume))
}

// putBack returns what lies in a step's places to where it was, the record
// last. What is not there was not taken, or is back already.
func (r *Runner) putBack(run string, s *Step, how putting) error {
	if s.Remover == journal.Link {
		return r.unlinkCopy(run, s)
	}
	for m := range s.Moves {
		if recordsFirst(s) {
			m = len(s.Moves) - 1 - m
		}
		if !r.lies(run, s, m) {
			continue
		}
		if err := r.moveBack(run, s, m, how); err != nil {
			return err
		}
	}
	return nil
}

// putting is how a step is put back.
type putting struct {
	as     string // the name that a volume gets; "" for its own
	copied bool   // the data root was, since it was taken
}

// moveBack is putBack for one move.
func (r *Runner) moveBack(run string, s *Step, m int, how putting) error {
	mv, place := &s.Moves[m], s.Place(run, m)
	if mv.Dataset.Name != "" {
		return r.returnDataset(mv, s.DatasetPlace(run, m))
	}
	if err := r.original(mv, place, how.copied); err != nil {
		return err
	}
	for _, dir := range slices.Backward(nesting(mv.From)) {
		if err := r.Disk.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return r.Disk.Rename(place, target(s, m, how.as))
}
