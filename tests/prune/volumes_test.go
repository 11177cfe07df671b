//go:build linux

package prune_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/prune/linked"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// leakyVolumes has volumes of each sort that goes by itself, and others.
const leakyVolumes = `
image app: base top
container web app
volume {id nobody} "{\"Name\":\"{id nobody}\",\"Driver\":\"local\",\"Labels\":{\"com.docker.volume.anonymous\":\"\"},\"Options\":null}"
write volumes/{id nobody}/_data/more/file "more"
volume named
volume used
write containers/{container web}/hostconfig.json "{\"Binds\":[\"used:/data\"]}"
online
write volumes/unlisted/_data/file "unlisted"
`

// A volumeDaemon is the daemon of a world as it removes and makes volumes. Each
// is an operation of the disk, at which it may fail.
type volumeDaemon struct {
	w    *world
	disk prune.Disk
}

func (d *volumeDaemon) do(what string, op func() error) error {
	if f, ok := d.disk.(*faultyDisk); ok {
		return f.do(what, op)
	}
	return op()
}

func (d *volumeDaemon) index(name string) int {
	return slices.IndexFunc(d.w.Daemon.VolumeList, func(v scan.DaemonVolume) bool { return v.Name == name })
}

func (d *volumeDaemon) Volume(_ context.Context, name string) (journal.Volume, string, error) {
	i := d.index(name)
	if i < 0 {
		return journal.Volume{}, "", errdefs.ErrNotFound
	}
	v := d.w.Daemon.VolumeList[i]
	return journal.Volume{Name: v.Name, Driver: v.Driver, Options: v.Options, Labels: v.Labels}, v.Mountpoint, nil
}

func (d *volumeDaemon) MakeVolume(_ context.Context, v journal.Volume) error {
	return d.do("make volume "+v.Name, func() error {
		data := filepath.Join(d.w.Dir, "volumes", v.Name, "_data")
		if err := errors.Join(os.Mkdir(filepath.Dir(data), 0o711), os.Mkdir(data, 0o711)); err != nil {
			return err
		}
		d.w.Daemon.VolumeList = append(d.w.Daemon.VolumeList, scan.DaemonVolume{
			Name: v.Name, Driver: v.Driver, Scope: "local", Mountpoint: data, Options: v.Options, Labels: v.Labels,
		})
		return d.row(v.Name, fmt.Sprintf(`{"Name":%q,"Driver":"local"}`, v.Name))
	})
}

func (d *volumeDaemon) remove(name string) error { return d.RemoveVolume(context.Background(), name) }

func (d *volumeDaemon) RemoveVolume(_ context.Context, name string) error {
	return d.do("remove volume "+name, func() error {
		if err := os.RemoveAll(filepath.Join(d.w.Dir, "volumes", name)); err != nil {
			return err
		}
		i := d.index(name)
		d.w.Daemon.VolumeList = slices.Delete(slices.Clone(d.w.Daemon.VolumeList), i, i+1)
		return d.row(name, "")
	})
}

// row writes a volume's row, or deletes it.
func (d *volumeDaemon) row(name, text string) error {
	db, err := bbolt.Open(filepath.Join(d.w.Dir, "volumes/metadata.db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		if text == "" {
			return tx.Bucket([]byte("volumes")).Delete([]byte(name))
		}
		return tx.Bucket([]byte("volumes")).Put([]byte(name), []byte(text))
	})
	return errors.Join(err, db.Close())
}

// What the daemon lists it removes, once its files have second names; what it
// does not is renamed. A named volume stays, and so does one that is used.
func TestVolumes(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	before := w.manifest()
	result := w.execute(prune.Options{})
	assert.DeepEqual(t, w.ends(result), map[string]journal.End{
		"volume {id nobody}": journal.Quarantined, "volume unlisted": journal.Quarantined,
	})
	assert.DeepEqual(t, w.manifest(), without(before, moved(result.Plan, journal.Quarantine)...))
	assert.Equal(t, w.verdicts()["volume {id nobody}"], "kept")
}

// anonymous is the volume of leakyVolumes that the daemon removes.
func (w *world) anonymous() string {
	name, err := w.Expand("{id nobody}")
	assert.NilError(w.t, err)
	return name
}

// volumeRun carries out a plan with the daemon's removal as the test has it.
func (w *world) volumeRun(t *testing.T, disk prune.Disk, remove func(d *volumeDaemon, name string) error) (*prune.Runner, *prune.Result) {
	t.Helper()
	r := w.runner(disk)
	if remove != nil {
		r.Volumes = &otherRemoval{r.Volumes.(*volumeDaemon), remove}
	}
	plan, owner := w.plan(prune.Options{Take: takeOnly(w.anonymous())})
	result, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	return r, result
}

type otherRemoval struct {
	*volumeDaemon
	remove func(d *volumeDaemon, name string) error
}

func (o *otherRemoval) RemoveVolume(_ context.Context, name string) error {
	return o.remove(o.volumeDaemon, name)
}

// A daemon that declines keeps the volume, whole, and its copy goes.
func TestDaemonDeclines(t *testing.T) {
	for name, err := range map[string]error{"in use": errdefs.ErrConflict, "cannot": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "overlay2", leakyVolumes)
			before := w.manifest()
			r, result := w.volumeRun(t, w.disk(), func(*volumeDaemon, string) error { return err })
			assert.Equal(t, result.Outcomes[0].End, journal.KeptByOwner)
			assert.DeepEqual(t, w.manifest(), before)
			held, err := r.Held()
			assert.NilError(t, err)
			assert.Equal(t, len(held), 0)
		})
	}
}

// What a daemon began to remove and did not end is in quarantine, all of it, and
// comes back once the rest of it is gone: the two have the same files until then.
func TestHalfRemoved(t *testing.T) {
	half := func(d *volumeDaemon, name string) error {
		assert.NilError(t, os.Remove(filepath.Join(d.w.Dir, "volumes", name, "_data/file")))
		return errors.New("device or resource busy")
	}
	for name, kill := range map[string]bool{"fails": false, "ends": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "overlay2", leakyVolumes)
			data := filepath.Join(w.Dir, "volumes", w.anonymous(), "_data")
			assert.NilError(t, os.Chown(data, 999, 998))
			before := w.manifest()
			remove := half
			if kill {
				remove = func(d *volumeDaemon, name string) error { _ = half(d, name); panic(crash{}) }
			}
			var r *prune.Runner
			died := dies(func() {
				var result *prune.Result
				r, result = w.volumeRun(t, w.disk(), remove)
				assert.Equal(t, result.Outcomes[0].End, journal.Left)
			})
			assert.Equal(t, died, kill)
			r = w.runner(w.disk())
			_, err := r.Recover(t.Context())
			assert.NilError(t, err)
			held, err := r.Held()
			assert.NilError(t, err)
			assert.Equal(t, len(held), 1)
			_, err = r.Restore(t.Context(), held)
			assert.ErrorContains(t, err, "has the same files")
			assert.ErrorContains(t, r.RestoreAs(t.Context(), held[0], "again"), "has the same files")
			assert.NilError(t, r.Volumes.RemoveVolume(t.Context(), w.anonymous()))
			assert.NilError(t, r.RestoreAs(t.Context(), held[0], "again"))
			after := w.manifest()
			for _, file := range []string{"/_data", "/_data/file", "/_data/more", "/_data/more/file"} {
				assert.Equal(t, after["volumes/again"+file], before["volumes/"+w.anonymous()+file], file)
			}
			info, err := os.Stat(filepath.Join(w.Dir, "volumes/again/_data"))
			assert.NilError(t, err)
			assert.Equal(t, info.Sys().(*syscall.Stat_t).Uid, uint32(999))
			assert.Equal(t, w.verdicts()["volume again"], "kept")
			held, err = r.Held()
			assert.NilError(t, err)
			assert.Equal(t, len(held), 0)
		})
	}
}

// A volume of which nothing was removed has no use for its copy, whatever a
// container has put there since: the daemon looks who has a volume before it
// touches it, and a run that ended before has removed nothing.
func TestVolumeInUseAgain(t *testing.T) {
	for name, remove := range map[string]func() error{
		"declined":    func() error { return errdefs.ErrConflict },
		"fails":       func() error { return errors.New("volume has active mounts") },
		"interrupted": func() error { panic(crash{}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "overlay2", leakyVolumes)
			var want map[string]string
			dies(func() {
				_, result := w.volumeRun(t, w.disk(), func(_ *volumeDaemon, id string) error {
					file := filepath.Join(w.Dir, "volumes", id, "_data/new")
					assert.NilError(t, os.WriteFile(file, []byte("the container's"), 0o600))
					want = w.manifest()
					return remove()
				})
				assert.Equal(t, result.Outcomes[0].End, journal.KeptByOwner)
			})
			r := w.runner(w.disk())
			_, err := r.Recover(t.Context())
			assert.NilError(t, err)
			held, err := r.Held()
			assert.NilError(t, err)
			assert.Equal(t, len(held), 0)
			assert.DeepEqual(t, w.manifest(), want)
		})
	}
}

// A removal that the daemon was asked for and has not begun, as it waits for
// another one, is not taken for none: the copy is all there is of the volume.
func TestRemovalWaits(t *testing.T) {
	for name, c := range map[string]struct {
		kill  bool
		asked int // how often the daemon is asked before it begins; 0: it never answers
		end   journal.End
	}{
		"no answer": {false, 0, journal.Left}, "at once": {false, 1, journal.Quarantined}, "seen first": {false, 2, journal.Quarantined},
		"killed, no answer": {true, 0, journal.Left}, "killed, at once": {true, 1, journal.Quarantined}, "killed, seen first": {true, 2, journal.Quarantined},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "overlay2", leakyVolumes)
			before := w.manifest()
			busy := &busyDaemon{asked: c.asked}
			disk := w.disk()
			r := w.runner(disk)
			busy.volumeDaemon = r.Volumes.(*volumeDaemon)
			plan, owner := w.plan(prune.Options{Take: takeOnly(w.anonymous())})
			r.Volumes = busy
			busy.kill = c.kill
			died := dies(func() {
				result, err := r.Execute(t.Context(), plan, owner)
				assert.NilError(t, err)
				assert.Equal(t, result.Outcomes[0].End, c.end)
			})
			assert.Equal(t, died, c.kill)
			recovered, err := r.Recover(t.Context())
			assert.NilError(t, err)
			if c.kill {
				assert.Equal(t, recovered[0].Outcomes[0].End, c.end)
			}
			busy.begin() // at the latest
			held, err := r.Held()
			assert.NilError(t, err)
			assert.Equal(t, len(held), 1)
			r.Volumes = busy.volumeDaemon
			_, err = r.Restore(t.Context(), held)
			assert.NilError(t, err)
			assert.DeepEqual(t, w.manifest(), before)
		})
	}
}

// A busyDaemon takes the removal of a volume, says nothing, and begins once it
// was asked for the volume so often.
type busyDaemon struct {
	*volumeDaemon
	kill  bool
	asked int
	name  string // that is to be removed
}

func (b *busyDaemon) RemoveVolume(_ context.Context, name string) error {
	b.name = name
	if b.kill {
		panic(crash{})
	}
	return io.EOF
}

func (b *busyDaemon) begin() {
	if b.name != "" {
		assert.NilError(b.w.t, b.volumeDaemon.RemoveVolume(context.Background(), b.name))
		b.name = ""
	}
}

func (b *busyDaemon) Volume(ctx context.Context, name string) (journal.Volume, string, error) {
	if b.name != "" {
		switch b.asked--; b.asked {
		case -1:
			b.asked = 0
			return journal.Volume{}, "", context.DeadlineExceeded
		case 0:
			b.begin()
		}
	}
	return b.volumeDaemon.Volume(ctx, name)
}

// A process that ends while it links leaves a part of a copy, which goes.
func TestHalfLinked(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	before := w.manifest()
	disk := &halfLinking{w.disk()}
	assert.Assert(t, dies(func() { _, _ = w.volumeRun(t, disk, nil) }))
	r := w.runner(w.disk())
	_, err := r.Recover(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, w.manifest(), before)
	held, err := r.Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 0)
}

type halfLinking struct{ prune.Disk }

func (d *halfLinking) LinkTree(ctx context.Context, from, to string) (linked.Sum, error) {
	if _, err := d.Disk.LinkTree(ctx, from, to); err != nil {
		return linked.Sum{}, err
	}
	if err := d.Remove(to + "/_data/file"); err != nil {
		return linked.Sum{}, err
	}
	panic(crash{})
}

// Whatever happens to a volume between the copy and its removal keeps it: it is
// written to, gets a file, is mounted, or somebody wants it (rules 6 and 8).
func TestVolumeChanges(t *testing.T) {
	for name, c := range map[string]struct {
		look   int
		change func(t *testing.T, w *world, dir string)
	}{
		"a new file": {2, func(t *testing.T, _ *world, dir string) {
			assert.NilError(t, os.WriteFile(dir+"/_data/new", []byte("new"), 0o600))
		}},
		"written to": {2, func(t *testing.T, _ *world, dir string) {
			assert.NilError(t, os.WriteFile(dir+"/_data/more/file", []byte("new"), 0o600))
		}},
		"mounted in": {2, func(t *testing.T, _ *world, dir string) {
			assert.NilError(t, unix.Mount(dir+"/_data/more", dir+"/_data/more", "", unix.MS_BIND, ""))
			t.Cleanup(func() { assert.NilError(t, unix.Unmount(dir+"/_data/more", unix.MNT_DETACH)) })
		}},
		"a container has it": {2, func(t *testing.T, w *world, dir string) {
			assert.NilError(t, w.Statement(`write containers/{container web}/hostconfig.json "{\"Binds\":[\"`+filepath.Base(dir)+`:/data\"]}"`))
		}},
		"a container has it before": {1, func(t *testing.T, w *world, dir string) {
			assert.NilError(t, w.Statement(`write containers/{container web}/hostconfig.json "{\"Binds\":[\"`+filepath.Base(dir)+`:/data\"]}"`))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "overlay2", leakyVolumes)
			dir := filepath.Join(w.Dir, "volumes", w.anonymous())
			var want map[string]string
			w.atLook = func(n int) {
				if n == c.look {
					c.change(t, w, dir)
					want = w.manifest()
				}
			}
			r, result := w.volumeRun(t, w.disk(), func(*volumeDaemon, string) error {
				t.Error("the daemon was asked to remove it")
				return errdefs.ErrConflict
			})
			assert.Assert(t, !result.Outcomes[0].Gone(), "%v", result.Outcomes)
			assert.DeepEqual(t, w.manifest(), want)
			held, err := r.Held()
			assert.NilError(t, err)
			assert.Equal(t, len(held), 0)
		})
	}
}

// A name that was taken meanwhile is never taken back: by a volume that the
// daemon knows, or by a directory alone.
func TestTakenName(t *testing.T) {
	for name, take := range map[string]func(d *volumeDaemon, name string) error{
		"volume": func(d *volumeDaemon, name string) error {
			return d.MakeVolume(t.Context(), journal.Volume{Name: name, Driver: "local"})
		},
		"directory": func(d *volumeDaemon, name string) error {
			return os.Mkdir(filepath.Join(d.w.Dir, "volumes", name), 0o700)
		},
	} {
		for _, id := range []string{"unlisted", "anonymous"} {
			t.Run(name+"/"+id, func(t *testing.T) {
				w := newWorld(t, "overlay2", leakyVolumes)
				if id == "anonymous" {
					id = w.anonymous()
				}
				before := w.manifest()
				w.execute(prune.Options{Take: takeOnly(id)})
				r := w.runner(w.disk())
				assert.NilError(t, take(r.Volumes.(*volumeDaemon), id))
				taken := w.manifest()
				held, err := r.Held()
				assert.NilError(t, err)
				_, err = r.Restore(t.Context(), held)
				assert.Assert(t, err != nil)
				assert.DeepEqual(t, w.manifest(), taken)
				for _, bad := range []string{"../x", "a/b", "a\nb", ".", "x"} {
					assert.ErrorContains(t, r.RestoreAs(t.Context(), held[0], bad), "no volume of such a name")
				}
				assert.ErrorContains(t, r.RestoreAs(t.Context(), held[0], "named"), "")
				assert.DeepEqual(t, w.manifest(), taken)
				assert.NilError(t, r.RestoreAs(t.Context(), held[0], "other"))
				assert.Equal(t, w.manifest()["volumes/other/_data/file"], before["volumes/"+id+"/_data/file"])
				assert.Equal(t, w.verdicts()["volume other"], "kept")
			})
		}
	}
}

// Without a daemon what it has recorded stays (rule 7), and what is to be made
// again by it waits.
func TestVolumesOffline(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	w.execute(prune.Options{Take: takeOnly(w.anonymous())})
	w.Daemon, w.Host.Online, w.Host.Owner = nil, false, nil
	all := prune.Options{Take: func(*scan.Finding) bool { return true }}
	plan, _ := w.plan(all)
	assert.Equal(t, len(plan.Steps), 1, plan.String())
	assert.Equal(t, plan.Steps[0].Finding, "unlisted")
	assert.Equal(t, plan.Steps[0].Remover, journal.Quarantine)
	before := w.manifest()
	r := w.runner(w.disk())
	held, err := r.Held()
	assert.NilError(t, err)
	_, err = r.Restore(t.Context(), held)
	assert.ErrorContains(t, err, "the daemon made it")
	assert.DeepEqual(t, w.manifest(), before)
}

// A volume that the daemon learns of while it is renamed comes back, also where a
// user named it: the daemon would have it, and no directory.
func TestVolumeBecomesKnown(t *testing.T) {
	for _, named := range []bool{false, true} {
		w := newWorld(t, "overlay2", leakyVolumes)
		before := w.manifest()
		w.atLook = func(n int) {
			if n == 2 { // it was renamed
				w.Daemon.VolumeList = append(w.Daemon.VolumeList, scan.DaemonVolume{
					Name: "unlisted", Driver: "local", Scope: "local", Mountpoint: filepath.Join(w.Dir, "volumes/unlisted/_data"),
				})
			}
		}
		plan, owner := w.plan(prune.Options{Take: takeOnly("unlisted")})
		plan.Steps[0].Named = named
		result, err := w.runner(w.disk()).Execute(t.Context(), plan, owner)
		assert.NilError(t, err)
		assert.Equal(t, result.Outcomes[0].End, journal.PutBack, "named: %t", named)
		assert.DeepEqual(t, w.manifest(), before)
	}
}

// A volume that was made right after the daemon was asked has a row, too.
func TestVolumeBecomesRecorded(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	before := w.manifest()
	w.atLook = func(n int) {
		if n == 2 {
			assert.NilError(t, (&volumeDaemon{w: w}).row("unlisted", `{"Name":"unlisted","Driver":"local"}`))
		}
	}
	plan, owner := w.plan(prune.Options{Take: takeOnly("unlisted")})
	plan.Steps[0].Named = true
	result, err := w.runner(w.disk()).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Equal(t, result.Outcomes[0].End, journal.PutBack)
	assert.DeepEqual(t, w.manifest(), before)
}

// For good means: the daemon removes it, and nothing of it waits.
func TestVolumePurged(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	before := w.manifest()
	result := w.execute(prune.Options{Purge: true})
	assert.DeepEqual(t, w.ends(result), map[string]journal.End{"volume {id nobody}": journal.Freed, "volume unlisted": journal.Freed})
	assert.DeepEqual(t, w.manifest(), without(before, "volumes/"+w.anonymous(), "volumes/unlisted"))
	held, err := w.runner(w.disk()).Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 0)
}

// A run that ends while the daemon removes a volume for good says what became of
// that.
func TestVolumePurgedInterrupted(t *testing.T) {
	for name, c := range map[string]struct {
		remove func(d *volumeDaemon, name string) error
		end    journal.End
	}{
		"gone":      {(*volumeDaemon).remove, journal.Freed},
		"not begun": {func(*volumeDaemon, string) error { return nil }, journal.Skipped},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "overlay2", leakyVolumes)
			plan, owner := w.plan(prune.Options{Purge: true, Take: takeOnly(w.anonymous())})
			r := w.runner(w.disk())
			r.Volumes = &otherRemoval{r.Volumes.(*volumeDaemon), func(d *volumeDaemon, name string) error {
				_ = c.remove(d, name)
				panic(crash{})
			}}
			assert.Assert(t, dies(func() { _, _ = r.Execute(t.Context(), plan, owner) }))
			recovered, err := w.runner(w.disk()).Recover(t.Context())
			assert.NilError(t, err)
			assert.Equal(t, recovered[0].Outcomes[0].End, c.end, recovered[0].Outcomes[0].Reason)
			assert.Equal(t, recovered[0].Outcomes[0].Bytes > 0, c.end == journal.Freed)
		})
	}
}

// What is written into a volume after the second look is never lost for good:
// where nothing could be undone all of it is looked at once more (rule 8).
func TestVolumePurgedInTime(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	var want map[string]string
	w.atLook = func(n int) {
		if n == 2 {
			file := filepath.Join(w.Dir, "volumes", w.anonymous(), "_data/more/file")
			assert.NilError(t, os.WriteFile(file, []byte("new"), 0o600))
			want = w.manifest()
		}
	}
	result := w.execute(prune.Options{Purge: true, Take: takeOnly(w.anonymous())})
	assert.Equal(t, result.Outcomes[0].End, journal.Skipped)
	assert.Assert(t, strings.Contains(result.Outcomes[0].Reason, "has changed since it was shown"), result.Outcomes[0].Reason)
	assert.DeepEqual(t, w.manifest(), want)
}

// The same holds for one that the daemon does not know.
func TestUnlistedVolumePurgedInTime(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	plan, owner := w.plan(prune.Options{Purge: true, Take: takeOnly("unlisted")})
	r := w.runner(&writing{w.disk(), func() {
		assert.NilError(t, os.WriteFile(filepath.Join(w.Dir, "volumes/unlisted/_data/file"), []byte("new"), 0o600))
	}})
	result, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Equal(t, result.Outcomes[0].End, journal.Skipped)
	text, err := os.ReadFile(filepath.Join(w.Dir, "volumes/unlisted/_data/file"))
	assert.NilError(t, err)
	assert.Equal(t, string(text), "new")
}

// writing is a disk on which something is written once the plan is on it.
type writing struct {
	prune.Disk
	write func()
}

func (d *writing) Append(name string, data []byte) error {
	d.write()
	return d.Disk.Append(name, data)
}

// What could not be brought back is left, and says why.
func TestVolumeWithoutUndo(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	file := filepath.Join(w.Dir, "volumes", w.anonymous(), "_data/file")
	flag := func(on bool) {
		f, err := os.Open(file)
		assert.NilError(t, err)
		defer f.Close()
		flags := 0
		if on {
			flags = 0x10 // FS_IMMUTABLE_FL
		}
		assert.NilError(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags))
	}
	flag(true)
	t.Cleanup(func() { flag(false) })
	before := w.manifest()
	r, result := w.volumeRun(t, w.disk(), nil)
	held, err := r.Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 0, "a part of a copy stays")
	assert.Equal(t, result.Outcomes[0].End, journal.Skipped)
	assert.Assert(t, strings.Contains(result.Outcomes[0].Reason, "could not be undone"), result.Outcomes[0].Reason)
	assert.DeepEqual(t, w.manifest(), before)
}

// Other names for what a container writes: nothing that comes back overwrites
// what is there.
func TestRestoreMeetsContent(t *testing.T) {
	w := newWorld(t, "overlay2", leakyVolumes)
	w.execute(prune.Options{Take: takeOnly(w.anonymous())})
	disk := &faultyDisk{Disk: w.disk(), fault: crashBefore, what: "like volumes/" + w.anonymous() + "/_data"}
	r := w.runner(disk)
	held, err := r.Held()
	assert.NilError(t, err)
	assert.Assert(t, dies(func() { _, _ = r.Restore(t.Context(), held) }))
	// Half of it is back; a container has begun to use it.
	data := filepath.Join(w.Dir, "volumes", w.anonymous(), "_data")
	place := filepath.Join(w.Dir, held[0].Step.Place(held[0].Run.ID, 0), "_data")
	assert.NilError(t, os.Rename(data+"/file", place+"/file"))
	assert.NilError(t, os.WriteFile(data+"/file", []byte("the container's"), 0o600))
	r = w.runner(w.disk())
	_, err = r.Recover(t.Context())
	assert.ErrorIs(t, err, os.ErrExist)
	text, err := os.ReadFile(data + "/file")
	assert.NilError(t, err)
	assert.Equal(t, string(text), "the container's")
	text, err = os.ReadFile(place + "/file")
	assert.NilError(t, err)
	assert.Equal(t, string(text), w.anonymous())
}

// Whoever makes a volume of the name while one is brought back keeps it as it is.
func TestMadeMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		made journal.Volume
		file bool
	}{
		"with content": {journal.Volume{Labels: map[string]string{"com.docker.volume.anonymous": ""}}, true},
		"other labels": {journal.Volume{Labels: map[string]string{"mine": ""}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "overlay2", leakyVolumes)
			w.execute(prune.Options{Take: takeOnly(w.anonymous())})
			r := w.runner(&faultyDisk{Disk: w.disk(), fault: crashBefore, what: "make volume " + w.anonymous()})
			held, err := r.Held()
			assert.NilError(t, err)
			assert.Assert(t, dies(func() { _, _ = r.Restore(t.Context(), held) }))
			r = w.runner(w.disk())
			c.made.Name, c.made.Driver = w.anonymous(), "local"
			assert.NilError(t, r.Volumes.MakeVolume(t.Context(), c.made))
			if c.file {
				assert.NilError(t, os.WriteFile(filepath.Join(w.Dir, "volumes", w.anonymous(), "_data/theirs"), nil, 0o600))
			}
			taken := w.manifest()
			_, err = r.Recover(t.Context())
			assert.ErrorContains(t, err, w.anonymous())
			assert.DeepEqual(t, w.manifest(), taken)
			held, err = r.Held()
			assert.NilError(t, err)
			assert.NilError(t, r.RestoreAs(t.Context(), held[0], "other"))
			assert.Assert(t, w.manifest()["volumes/other/_data/file"] != "")
		})
	}
}
