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
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
)

// A layer of zfs is a dataset, a clone of a snapshot of the one below. It is put
// aside by being renamed in its pool, and comes back by being renamed again: its
// snapshots go with it, and what was cloned of them still is. To free it is to
// destroy it, without any flag that would have zfs take more than the one that
// is named: a dataset of which anything was cloned stays, as zfs sees to it too.
//
// Both are done only while no daemon runs (rule 7), each after one more look for
// a daemon that has been started. To rename one back harms no daemon: it asks
// for no layer that it has no record of.

// datasetOf is what the dataset of an object is recognised by.
func datasetOf(o *scan.Object) journal.DatasetIdentity {
	h := o.Note().Handle
	return journal.DatasetIdentity{Name: h.Name, GUID: h.Made, Created: o.Note().Created.Unix(), Origin: h.Origin}
}

// errNotAsked is the error of a runner that was made without zfs.
var errNotAsked = errors.New("zfs is not asked here")

// dataset asks zfs for one dataset. What is begun is ended, also where the user
// interrupts: to put things back is what then is to be done.
func (r *Runner) dataset(name string) (*zfs.State, error) {
	if r.ZFS == nil {
		return nil, fmt.Errorf("%s: %w", name, errNotAsked)
	}
	state, err := zfs.System{Tool: r.ZFS}.State(context.Background(), name)
	return state, withPackages(err)
}

// zfs runs a command that changes the pool.
func (r *Runner) zfs(args ...string) error {
	_, err := r.ZFS.Run(context.Background(), args...)
	return withPackages(err)
}

// withPackages says what to install where zfs is missing.
func withPackages(err error) error {
	if hint := zfs.Zfs.Hint(err); hint != "" {
		return fmt.Errorf("%w: %s", err, hint)
	}
	return err
}

// datasets lists the moves of a step that took a dataset that is still there.
func (r *Runner) datasets(run string, s *Step) []int {
	var moves []int
	for m := range s.Moves {
		if s.Moves[m].Dataset.Name != "" && r.lies(run, s, m) {
			moves = append(moves, m)
		}
	}
	return moves
}

// moveDataset puts a dataset aside, if it is still what was confirmed. Should
// another be given its name between the look and the rename, that one is
// renamed back.
func (x *run) moveDataset(ctx context.Context, s *Step, m int) error {
	d, place := &s.Moves[m].Dataset, s.DatasetPlace(x.id, m)
	if _, err := x.alone(ctx, x.id, errAwakeDataset); err != nil {
		return err
	}
	state, err := x.dataset(d.Name)
	if err == nil {
		err = intact(state, d)
	}
	if err == nil && state.Origin != d.Origin {
		err = fmt.Errorf("%s: has changed since it was shown", d.Name)
	}
	if err == nil {
		err = x.vacant(place)
	}
	if err == nil {
		err = x.zfs("rename", "--", d.Name, place)
	}
	if err != nil {
		return err
	}
	moved, err := x.dataset(place)
	if err == nil && moved.GUID != d.GUID {
		err = errors.Join(fmt.Errorf("%s: is not what was shown", d.Name), x.zfs("rename", "--", place, d.Name))
	}
	return err
}

// vacant checks that no dataset has a name.
func (r *Runner) vacant(name string) error {
	_, err := r.dataset(name)
	switch {
	case err == nil:
		return fmt.Errorf("%s: another dataset is there now: %w", name, fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// intact checks that a dataset is the one that a move is about, and is as
// Docker leaves one: nobody has it mounted, and nothing is in it but Docker's
// own snapshots, which nobody wants to stay.
func intact(is *zfs.State, d *journal.DatasetIdentity) error {
	if is.GUID != d.GUID || is.Created.Unix() != d.Created {
		return fmt.Errorf("%s: is not what was shown", is.Name)
	}
	if is.Mounted {
		return fmt.Errorf("%s: is mounted", is.Name)
	}
	if is.Mountpoint != "legacy" {
		return fmt.Errorf("%s: its mountpoint is %s, which is not Docker's doing", is.Name, scan.Printable(is.Mountpoint))
	}
	if len(is.Others) > 0 {
		return fmt.Errorf("%s: %s lies in it", is.Name, scan.Printable(is.Others[0]))
	}
	for _, s := range is.Snapshots {
		if !zfs.IsDockers(s.Name[len(is.Name)+1:]) {
			return fmt.Errorf("%s: somebody took this snapshot", scan.Printable(s.Name))
		}
		if s.Holds > 0 {
			return fmt.Errorf("%s: somebody holds this snapshot (zfs holds)", s.Name)
		}
	}
	return nil
}

// returnDataset renames a dataset back. Nothing is renamed over.
func (r *Runner) returnDataset(mv *journal.Move, place string) error {
	state, err := r.dataset(place)
	if err != nil {
		return err
	}
	if state.GUID != mv.Dataset.GUID {
		return fmt.Errorf("%s: is not what was shown", place)
	}
	if err := r.vacant(mv.Dataset.Name); err != nil {
		return err
	}
	return r.zfs("rename", "--", place, mv.Dataset.Name)
}

// destroyDatasets destroys the datasets that a step took, what lies on another
// before that.
func (r *Runner) destroyDatasets(ctx context.Context, run string, s *Step) error {
	for _, m := range r.datasets(run, s) {
		if r.Pool == nil {
			return errAwakeDataset
		}
		if _, err := r.alone(ctx, run, errAwakeDataset); err != nil {
			return err
		}
		if err := r.destroy(s.DatasetPlace(run, m), &s.Moves[m].Dataset); err != nil {
			return err
		}
		_ = r.Disk.Remove(s.Moves[m].From) // where it was mounted: best effort, like the driver's own
	}
	return nil
}

// destroy destroys a dataset and the snapshots that Docker took of it, one by
// one, if nothing was cloned of any.
func (r *Runner) destroy(place string, d *journal.DatasetIdentity) error {
	state, err := r.dataset(place)
	if err != nil {
		return err
	}
	if err := intact(state, d); err != nil {
		return err
	}
	for _, s := range state.Snapshots {
		if len(s.Clones) > 0 {
			return fmt.Errorf("%s: %s was cloned of it", s.Name, scan.Printable(s.Clones[0]))
		}
	}
	if err := r.release(state); err != nil {
		return err
	}
	for _, s := range state.Snapshots {
		if err := r.zfs("destroy", "--", s.Name); err != nil {
			return err
		}
	}
	return r.zfs("destroy", "--", place)
}

// release sees to it that the snapshot that a dataset began as goes with it:
// Docker marks it so once it has cloned it, unless it is killed in between.
func (r *Runner) release(clone *zfs.State) error {
	if clone.Origin == "" {
		return nil
	}
	dataset, name, _ := strings.Cut(clone.Origin, "@")
	if path.Dir(dataset) != path.Dir(clone.Name) || !zfs.IsDockers(name) {
		return nil // not between two layers
	}
	below, err := r.dataset(dataset)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(below.Snapshots, func(s zfs.Snapshot) bool { return s.Name == clone.Origin })
	if at < 0 {
		return fmt.Errorf("%s: zfs does not list it", clone.Origin)
	}
	if s := below.Snapshots[at]; s.Leaves || s.Holds > 0 || !slices.Equal(s.Clones, []string{clone.Name}) {
		return nil
	}
	return r.zfs("destroy", "-d", "--", clone.Origin)
}
