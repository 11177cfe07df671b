package prune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// A volume that the daemon removed comes back as a new one: the daemon makes it,
// empty, with the driver, options and labels that it had, and then its content
// is moved in. A daemon that is told to make a volume where data lies already
// gives that data to root, or deletes it.

// An offlineError is that of a volume that only a daemon can bring back.
type offlineError struct{ error }

// Hint says what a person can do.
func (offlineError) Hint() string { return "start Docker, and then bring it back" }

// A takenError is that of a name that another volume has.
type takenError struct{ error }

func (e takenError) Unwrap() error { return e.error }

// Hint says what a person can do.
func (e takenError) Hint() string { return "restore --as NAME brings it back under another name" }

// A sharedError is that of a volume that is still there, with its files.
type sharedError struct{ error }

// Hint says what a person can do.
func (sharedError) Hint() string {
	return "look at what that volume has now; once docker volume rm has removed it, this one can come back"
}

// apart checks that a volume is not there any more, or is another one: what is
// in quarantine are the same files, and two volumes would write to them.
func (r *Runner) apart(h Held) error {
	mv := &h.Step.Moves[0]
	info, err := r.Tree.Stat(mv.From)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && (mv.Is.Fits(journal.IdentityOf(info.Stamp, info.Subvolume)) || r.Copied(h.Run) && leftOver(h.Run, h.Step)):
		return sharedError{fmt.Errorf("%s: is still there, and has the same files", mv.From)}
	}
	return err
}

// makable checks, before anything is moved, that the daemon can make a volume of
// a name anew.
func (r *Runner) makable(ctx context.Context, name string) error {
	if r.Volumes == nil {
		return offlineError{errors.New("the daemon made it, and has to make it again")}
	}
	err := r.unknown(ctx, name)
	if err == nil {
		if _, err = r.Tree.Stat(path.Join(volumesDir, name)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("%s: something else is there now: %w", path.Join(volumesDir, name), fs.ErrExist)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		err = takenError{err}
	}
	return err
}

// A remaking is a volume that is being brought back, as far as the journal tells.
type remaking struct {
	as   string            // the name that it gets; "" for its own
	said time.Time         // when the user asked for it
	made *journal.Identity // the volume that the daemon made for it; nil if none
}

// remakingOf is what a run's journal tells of a step that was to be brought back.
func remakingOf(run *journal.Run, s *Step) remaking {
	as, said := run.RestoreAs(s.ID)
	return remaking{as, said, run.Made(s.ID)}
}

// remake brings a volume back. Interrupted at any point, it goes on from there.
func (r *Runner) remake(ctx context.Context, run string, s *Step, m remaking) error {
	v := *s.Volume
	v.Name = cmp.Or(m.as, v.Name)
	dir, place := path.Join(volumesDir, v.Name), s.Place(run, 0)
	err := fs.ErrNotExist
	if m.made != nil {
		err = fits(r.Tree, &journal.Move{Is: *m.made}, dir)
	}
	if errors.Is(err, fs.ErrNotExist) { // not made yet, or removed since
		err = r.makeEmpty(ctx, run, s, v, m.said)
	}
	if err == nil {
		err = r.fill(place, dir)
	}
	if err == nil {
		err = r.clear(place)
	}
	return err
}

// makeEmpty has the daemon make the volume. One of the same name that is there
// already is that of an attempt that was interrupted, if it was made since, and
// in the same way, and is empty.
func (r *Runner) makeEmpty(ctx context.Context, run string, s *Step, v journal.Volume, said time.Time) error {
	taken := r.makable(ctx, v.Name)
	dir := path.Join(volumesDir, v.Name)
	if taken == nil {
		if err := r.Volumes.MakeVolume(ctx, v); err != nil {
			return err
		}
	} else if !r.ours(ctx, v, said) {
		return taken
	}
	info, err := r.Tree.Stat(dir)
	if err != nil {
		return err
	}
	entries, err := r.Tree.ReadDir(path.Join(dir, dataDir))
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return takenError{fmt.Errorf("%s: somebody has put something there", path.Join(dir, dataDir))}
	}
	return r.append(run, journal.Record{Kind: journal.Made, Steps: []int{s.ID}, Is: journal.IdentityOf(info.Stamp, info.Subvolume)})
}

// ours reports whether a volume can only be the one that was made since a user
// asked to bring it back: another one would have been in the way then.
func (r *Runner) ours(ctx context.Context, v journal.Volume, said time.Time) bool {
	if r.Volumes == nil {
		return false
	}
	is, _, err := r.Volumes.Volume(ctx, v.Name)
	if err != nil || !alike(is, v) {
		return false
	}
	const tick = time.Second // by which a file system's clock may be behind
	info, err := r.Tree.Stat(path.Join(volumesDir, v.Name))
	return err == nil && !info.Stamp.Made().Before(said.Add(-tick))
}

// alike reports whether two volumes were made in the same way.
func alike(a, b journal.Volume) bool {
	return a.Driver == b.Driver && maps.Equal(a.Options, b.Options) && maps.Equal(a.Labels, b.Labels)
}

// What the content is moved from changes its times when it is. So what it was
// like is kept first: "like" once that is whole.
const (
	likeDir = "like"
	newLike = "like.new"
)

// fill moves the content of a quarantined volume into an empty one. Nothing is
// ever overwritten: what somebody puts there meanwhile stays, and so does what
// has its name.
func (r *Runner) fill(place, dir string) error {
	from, like := path.Join(place, dataDir), path.Join(place, likeDir)
	if _, err := r.Tree.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil // it was moved to the end
	}
	if _, err := r.Tree.Stat(like); errors.Is(err, fs.ErrNotExist) {
		fresh := path.Join(place, newLike)
		if err := r.Disk.Mkdir(fresh); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := r.Disk.Like(from, fresh); err != nil {
			return err
		}
		if err := r.Disk.Rename(fresh, like); err != nil {
			return err
		}
	}
	entries, err := r.Tree.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := r.Disk.Rename(path.Join(from, e.Name), path.Join(dir, dataDir, e.Name)); err != nil {
			return err
		}
	}
	if err := r.Disk.Like(like, path.Join(dir, dataDir)); err != nil {
		return err
	}
	return r.Disk.Remove(from)
}

// clear takes away what is left of a volume whose content is back: what the
// daemon has made anew. Anything else keeps it.
func (r *Runner) clear(place string) error {
	for _, name := range []string{likeDir, optsFile, "."} {
		if err := r.Disk.Remove(path.Join(place, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// target is where a step's move is brought back to: a volume may get another
// name.
func target(s *Step, m int, as string) string {
	if as != "" {
		return path.Join(volumesDir, as)
	}
	return s.Moves[m].From
}

// nameable says why a step cannot be brought back under another name.
func nameable(s *Step, as string) error {
	switch {
	case as == "":
		return nil
	case !isVolume(s.Type):
		return fmt.Errorf("a %s is not a volume, and keeps its name", s.Type)
	case !scan.IsVolumeName(as):
		return fmt.Errorf("%s: the daemon makes no volume of such a name", scan.Printable(as))
	}
	return nil
}
