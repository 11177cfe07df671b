package prune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// Volumes is the part of the Docker API that removes volumes and makes them
// again. Errors satisfy errdefs.IsNotFound and IsConflict as the daemon's status
// says.
type Volumes interface {
	// Volume says what the daemon knows of a volume, and where its data is.
	Volume(ctx context.Context, name string) (v journal.Volume, mountpoint string, err error)
	// MakeVolume makes a volume; one that is there already stays.
	MakeVolume(ctx context.Context, v journal.Volume) error
	// RemoveVolume removes a volume that no container has, never by force.
	RemoveVolume(ctx context.Context, name string) error
}

// isVolume reports whether findings of a type are volumes.
func isVolume(t scan.Type) bool { return t == scan.TypeVolume || t == scan.TypeBuilder }

// listed reports whether the running daemon lists a volume, and so removes it.
func listed(f *scan.Finding, online bool) bool {
	v := f.Parts[0].Note().Volume
	return online && isVolume(f.Type) && v != nil && v.Listed
}

const (
	volumesDir = "volumes"
	dataDir    = "_data"
	optsFile   = "opts.json"
)

// ask has the daemon say what it knows of the volumes that go, before the plan
// is written down: it is what makes them again.
func (x *run) ask(ctx context.Context) {
	for i := range x.plan.Steps {
		s := &x.plan.Steps[i]
		if x.ends[i].End != "" || s.Remover != journal.Link && s.Remover != journal.Daemon {
			continue
		}
		name := path.Base(s.Objects[0].Path())
		v, err := x.known(ctx, name)
		if err != nil {
			x.end(i, journal.Skipped, err.Error())
			continue
		}
		s.Volume = v
	}
}

// known is what the daemon knows of a volume of this data root.
func (x *run) known(ctx context.Context, name string) (*journal.Volume, error) {
	if x.Volumes == nil {
		return nil, errors.New("no daemon runs that could remove it")
	}
	v, at, err := x.Volumes.Volume(ctx, name)
	switch {
	case errdefs.IsNotFound(err):
		return nil, errors.New("the daemon does not know it any more")
	case err != nil:
		return nil, err
	case v.Name != name, v.Driver != scan.LocalDriver, !strings.HasSuffix(at, "/"+path.Join(volumesDir, name, dataDir)):
		return nil, fmt.Errorf("the daemon has another volume of this name, of %s at %s", scan.Printable(v.Driver), scan.Printable(at))
	}
	return &v, nil
}

// unknown is nil if the daemon does not know a volume. Whoever makes one of a
// name whose directory is there gets that directory.
func (r *Runner) unknown(ctx context.Context, name string) error {
	if r.Volumes == nil {
		return nil
	}
	_, _, err := r.Volumes.Volume(ctx, name)
	switch {
	case errdefs.IsNotFound(err):
		return nil
	case err == nil:
		return fmt.Errorf("volume %s: the daemon knows one now: %w", scan.Printable(name), fs.ErrExist)
	}
	return err
}

// unchanged checks that nothing in a volume has changed since it was walked, if
// its removal cannot be undone: the looks after the second do not walk it again,
// and a stamp tells of its top alone (rule 8).
func (x *run) unchanged(ctx context.Context, s *Step) error {
	if !isVolume(s.Type) || s.Waits() {
		return nil
	}
	o := s.Objects[0]
	now, err := x.Tree.Walk(ctx, nil, o.Paths()...)
	if err != nil {
		return err
	}
	if o.Usage == nil || !now.Complete || !now.Newest.Equal(o.Usage.Newest) {
		return fmt.Errorf("%s: has changed since it was shown", o.Path())
	}
	return nil
}

// patience is how long a daemon may take to say what it knows of a volume that
// it may be removing.
const patience = time.Minute

// idle is nil once the daemon says that no removal of a volume goes on. Removing
// and asking take the same lock of that volume, from Docker 1.12 to 29
// (volume/service/store.go), so an answer waits for what goes on. A removal takes
// it twice, first to see that the volume is there, and may wait in between for
// that of another volume; so the daemon is asked twice.
func (r *Runner) idle(ctx context.Context, name string) error {
	if r.Volumes == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for again := false; ; again = true {
		_, _, err := r.Volumes.Volume(ctx, name)
		switch {
		case errdefs.IsNotFound(err):
			return nil
		case err != nil || again:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.Policy.Settle):
		}
	}
}

// loose is nil if a volume may be renamed: nothing is mounted in it, and the
// daemon does not know it (rules 6 and 7).
func (x *run) loose(ctx context.Context, s *Step) error {
	if !isVolume(s.Type) {
		return nil
	}
	name := s.Objects[0].Path()
	if err := x.Disk.Mounted(ctx, name); err != nil {
		return err
	}
	return x.unknown(ctx, path.Base(name))
}
