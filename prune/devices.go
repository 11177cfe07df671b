package prune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// A layer of devicemapper is a thin device of a pool, and a metadata file that
// tells which. The driver loads those files when it starts and knows of no
// other device: it finds out that a number is taken when it gives it to a new
// one, and goes on to the next. So a layer is put aside by its file being
// renamed, like a directory; the device stays in the pool, and nobody touches
// it. To free it is to delete the device, and then the file, which is all that
// tells of it.
//
// Devices are deleted only while no daemon runs (rule 7), each after one more
// look for a daemon that has been started.

// A Pool is the thin pool of a data root that no daemon uses.
type Pool interface {
	// Check says why nothing can be deleted now; nil if it can.
	Check(ctx context.Context) error
	// Delete deletes a device and gives back the space that only it used.
	// That the pool has no such device any more, or another of its number, is
	// no error: it was deleted before.
	Delete(ctx context.Context, d ThinDevice) error
}

// A ThinDevice is a device of a pool.
type ThinDevice struct {
	ID   uint32
	Made uint64 // the pool's transaction that counted it, as its metadata file has it
	Size uint64 // in bytes
}

// errAwake is the error of a thin device that is to be freed while a daemon
// may use its pool, errAwakeDataset that of a dataset.
var (
	errAwake        = awakeError{errors.New("a thin device is deleted only while Docker is stopped")}
	errAwakeDataset = awakeError{errors.New("a dataset is destroyed only while Docker is stopped")}
)

// An awakeError is that of what has to wait until Docker is stopped.
type awakeError struct{ error }

// Hint says what a person can do.
func (awakeError) Hint() string {
	return "it waits where it is, and harms nothing; with Docker stopped, docker orphans --data-root DIR prune or purge frees it"
}

// devices lists the moves of a step that took the metadata file of a thin
// device that is still there.
func (r *Runner) devices(run string, s *Step) []int {
	var moves []int
	for m := range s.Moves {
		thin := func(o *scan.Object) bool { return o.Medium == scan.ThinDevice && o.Path() == s.Moves[m].From }
		if !slices.ContainsFunc(s.Objects, thin) {
			continue
		}
		if _, err := r.Tree.Stat(s.Place(run, m)); !errors.Is(err, fs.ErrNotExist) {
			moves = append(moves, m)
		}
	}
	return moves
}

// awake is an error if a step took what may be freed only while no daemon runs,
// and one does.
func (r *Runner) awake(run string, s *Step) error {
	switch {
	case r.Pool != nil:
	case len(r.datasets(run, s)) > 0:
		return errAwakeDataset
	case len(r.devices(run, s)) > 0:
		return errAwake
	}
	return nil
}

// ready skips the steps that delete devices if the pool is in no state for it.
func (x *run) ready(ctx context.Context) {
	var why error
	asked := false
	for i := range x.plan.Steps {
		if x.plan.Steps[i].Remover != journal.Device || x.ends[i].End != "" {
			continue
		}
		if !asked {
			asked, why = true, errAwake
			if x.Pool != nil {
				why = x.Pool.Check(ctx)
			}
		}
		if why != nil {
			x.end(i, journal.Skipped, why.Error())
		}
	}
}

// bare reports whether a step is about a device that no metadata file names
// ([scan.Finding.Unrecorded]): nothing of it is renamed, or could be put back.
func bare(s *Step) bool { return s.Remover == journal.Device && s.Moves == nil }

// freePooled carries a step about thin devices or datasets to its end, once it was
// taken and looked at again.
func (x *run) freePooled(ctx context.Context, i int) {
	s := &x.plan.Steps[i]
	free := x.unlink
	if bare(s) {
		free = x.deleteBare
	}
	if err := free(ctx, x.id, s); err != nil {
		x.end(i, journal.Left, err.Error())
		return
	}
	x.end(i, journal.Freed, "")
}

// deleteDevices deletes the thin devices of a step, and each one's metadata file
// once it is gone.
func (r *Runner) deleteDevices(ctx context.Context, run string, s *Step) error {
	for _, m := range r.devices(run, s) {
		if r.Pool == nil {
			return errAwake
		}
		place := s.Place(run, m)
		device, err := r.thinDevice(place)
		if err == nil {
			err = r.unnamed(path.Dir(s.Moves[m].From), device.ID)
		}
		if err == nil {
			_, err = r.alone(ctx, run, errAwake)
		}
		if err == nil {
			err = r.Pool.Delete(ctx, device)
		}
		if err == nil {
			err = r.Disk.Remove(place)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Moves[m].From, err)
		}
	}
	return nil
}

// deleteBare deletes the device of a step that no metadata file names, if it is
// an orphan still: the pool and all that could name it are read once more.
func (x *run) deleteBare(ctx context.Context, run string, s *Step) error {
	o := s.Objects[0]
	device, err := x.thinDevice(path.Join(path.Dir(o.Name), "base")) // all have its size, or more
	if err != nil {
		return err
	}
	id, err := strconv.ParseUint(o.Note().Handle.Name, 10, 32)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	device.ID, device.Made = uint32(id), o.Note().Handle.Made
	seen, err := x.alone(ctx, run, errAwake)
	if err != nil {
		return err
	}
	if why := indexOf(seen).differs(s, true); why != "" {
		return fmt.Errorf("%s: %s", o.Name, why)
	}
	return x.Pool.Delete(ctx, device)
}

// alone looks once more, and that nobody works with the data root. The error is
// awake if a daemon does.
func (r *Runner) alone(ctx context.Context, run string, awake error) (*Sight, error) {
	seen, err := r.Look(ctx, run, nil, func(*scan.Object) *scan.Usage { return nil })
	if err != nil {
		return nil, err
	}
	if seen.Graph.Host.Online || seen.Graph.Host.Owner != nil {
		return nil, awake
	}
	return seen, Idle(seen.Graph)
}

// thinDevice reads a metadata file. It was read before: this is the same one.
func (r *Runner) thinDevice(name string) (ThinDevice, error) {
	data, err := r.Tree.ReadFile(name, 1<<16)
	if err != nil {
		return ThinDevice{}, err
	}
	var file struct {
		Device *uint32 `json:"device_id"`
		Made   *uint64 `json:"transaction_id"`
		Size   *uint64 `json:"size"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return ThinDevice{}, fmt.Errorf("%s: %w", name, err)
	}
	if file.Device == nil || file.Made == nil || file.Size == nil {
		return ThinDevice{}, fmt.Errorf("%s: names no device", name)
	}
	return ThinDevice{*file.Device, *file.Made, *file.Size}, nil
}

// unnamed checks that no metadata file in the driver's directory names a
// device: whoever has one there, it is theirs. A pool that was made anew gives
// the same numbers again.
func (r *Runner) unnamed(dir string, id uint32) error {
	entries, err := r.Tree.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name, ".") || strings.HasSuffix(e.Name, ".migrated") || e.Name == "deviceset-metadata" {
			continue // never loaded; names none
		}
		name := path.Join(dir, e.Name)
		data, err := r.Tree.ReadFile(name, 1<<16)
		var file struct {
			Device json.Number `json:"device_id"`
		}
		if err == nil {
			err = json.Unmarshal(data, &file)
		}
		if err != nil {
			return fmt.Errorf("%s: %w: which device it names is not known", name, err)
		}
		if file.Device.String() == strconv.FormatUint(uint64(id), 10) && e.Name != "transaction-metadata" {
			return fmt.Errorf("%s: names device %d too", name, id)
		}
	}
	return nil
}

// mountPoints takes away where a step's thin devices were mounted: the driver
// makes the directory again when it needs it. One that is not empty stays.
func (x *run) mountPoints(s *Step) {
	for _, o := range s.Objects {
		if o.Medium == scan.ThinDevice {
			for _, dir := range o.Paths()[1:] {
				_ = x.Disk.Remove(dir) // best effort, like the driver's own
			}
		}
	}
}
