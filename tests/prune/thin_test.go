//go:build linux

package prune_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/thin"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// leakyThin is what devicemapper can leak: registered layers of a lost image, a
// vanished container's, and one that nothing names.
const leakyThin = `
image app: base top
container web app
image gone: base mid high
container leak app
rm image/DRIVER/imagedb/content/sha256/{image gone}
write image/DRIVER/repositories.json "{\"Repositories\":{\"app\":{\"app:1\":\"sha256:{image app}\"}}}"
rm containers/{container leak}
layer stray on base
`

// thinWorld is a stopped daemon's data root, whose pool is in a kernel.
func thinWorld(t *testing.T) (*world, *thinKernel) {
	t.Helper()
	w := newWorld(t, "devicemapper", leakyThin)
	assert.NilError(t, os.WriteFile(filepath.Join(w.Dir, "devicemapper/devicemapper/data"), make([]byte, 1<<20), 0o600))
	return w, &thinKernel{t: t}
}

// thinRunner is a run without a daemon.
func (w *world) thinRunner(k *thinKernel) *prune.Runner {
	r := w.runner(w.disk())
	r.Adopt, r.Pool = nil, w.pool(k)
	return r
}

// pool is the data root's pool in a kernel.
func (w *world) pool(k *thinKernel) prune.Pool {
	dir, err := filepath.EvalSymlinks(w.Dir)
	assert.NilError(w.t, err)
	return prune.LoopPool{Root: dir, Kernel: k}
}

// devices lists the numbers of the pool's devices.
func (w *world) devices() []uint32 {
	file, err := os.Open(filepath.Join(w.Dir, "devicemapper/devicemapper/metadata"))
	assert.NilError(w.t, err)
	defer file.Close()
	m, err := thin.Read(file)
	assert.NilError(w.t, err)
	var ids []uint32
	for _, d := range m.Devices {
		ids = append(ids, d.ID)
	}
	return ids
}

// deviceOf is the number of a layer's device.
func (w *world) deviceOf(plan *prune.Plan, remover journal.Remover) []uint32 {
	var ids []uint32
	for _, s := range plan.Steps {
		for _, o := range s.Objects {
			if h := o.Note().Handle; h != nil && s.Remover == remover {
				var id uint32
				_, err := fmt.Sscan(h.Name, &id)
				assert.NilError(w.t, err)
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func minus(all, gone []uint32) []uint32 {
	return slices.DeleteFunc(slices.Clone(all), func(id uint32) bool { return slices.Contains(gone, id) })
}

// byName are the options of rm.
func byName() prune.Options {
	return prune.Options{Named: true, Take: func(*scan.Finding) bool { return true }}
}

// Without a daemon thin devices go: those of layers that can
// be made again from the pool; a container's is put aside by its file, comes
// back, and is freed for good once it is purged.
func TestThinDevices(t *testing.T) {
	w, k := thinWorld(t)
	before, devices := w.manifest(), w.devices()
	plan, owner := w.plan(byName())
	r := w.thinRunner(k)
	result, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.DeepEqual(t, w.ends(result), map[string]journal.End{
		"image-layer {chain gone 3}": journal.Freed, "image-layer {chain gone 2}": journal.Freed,
		"layer {layer stray}":       journal.Freed,
		"rw-layer {container leak}": journal.Quarantined,
	})
	gone := w.deviceOf(&plan, journal.Device)
	assert.Equal(t, len(gone), 3)
	assert.DeepEqual(t, w.devices(), minus(devices, gone))
	assert.Equal(t, len(k.active), 0)
	assert.Equal(t, len(k.discard), 3, "their space is given back")
	after := without(w.manifest(), "devicemapper/devicemapper/metadata")
	assert.DeepEqual(t, after, without(before, append(moved(plan, journal.Device, journal.Quarantine), "devicemapper/devicemapper/metadata")...))
	for name, verdict := range w.verdicts() {
		assert.Assert(t, verdict != "orphan", "%s: what is in quarantine is no leak", name)
	}

	held, err := r.Held()
	assert.NilError(t, err)
	aside := w.deviceOf(&plan, journal.Quarantine)
	assert.Equal(t, len(aside), 2)
	_, err = r.Restore(t.Context(), held)
	assert.NilError(t, err)
	assert.DeepEqual(t, without(w.manifest(), "devicemapper/devicemapper/metadata"),
		without(before, append(moved(plan, journal.Device), "devicemapper/devicemapper/metadata")...))
	assert.DeepEqual(t, w.devices(), minus(devices, gone))
}

// What waits in quarantine is freed only while no daemon runs, and until then
// it is not announced that it is.
func TestThinDevicesPurge(t *testing.T) {
	w, k := thinWorld(t)
	devices := w.devices()
	plan, owner := w.plan(byName())
	r := w.thinRunner(k)
	_, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	held, err := r.Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 1)
	far := r.Now().Add(1 << 50)
	assert.Equal(t, len(prune.Expired(held, far, true)), 0)
	assert.Equal(t, len(prune.Expired(held, far, false)), 1)

	r.Pool = nil
	_, err = r.Purge(t.Context(), held)
	assert.ErrorContains(t, err, "only while Docker is stopped")
	_, err = r.Recover(t.Context())
	assert.NilError(t, err)
	left := minus(devices, w.deviceOf(&plan, journal.Device))
	assert.DeepEqual(t, w.devices(), left)

	r = w.thinRunner(k)
	_, err = r.Purge(t.Context(), held)
	assert.NilError(t, err)
	assert.DeepEqual(t, w.devices(), minus(left, w.deviceOf(&plan, journal.Quarantine)))
	held, err = r.Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 0)
}

// prune takes the same as rm without anything being named.
func TestThinDevicesByDefault(t *testing.T) {
	w, _ := thinWorld(t)
	all, _ := w.plan(byName())
	plan, _ := w.plan(prune.Options{Take: func(f *scan.Finding) bool { return f.Default }})
	assert.Equal(t, len(plan.Steps), 4, "%s", &plan)
	assert.DeepEqual(t, moved(plan, journal.Device, journal.Quarantine), moved(all, journal.Device, journal.Quarantine))
}

// quarantined is a world with a container's layer in quarantine.
func quarantined(t *testing.T) (*world, *thinKernel, *prune.Runner, []prune.Held) {
	t.Helper()
	w, k := thinWorld(t)
	plan, owner := w.plan(prune.Options{Named: true, Take: func(f *scan.Finding) bool { return f.Type == scan.TypeRWLayer }})
	r := w.thinRunner(k)
	_, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	held, err := r.Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 1)
	return w, k, r, held
}

// A device that is gone already, or whose number another one has by now, is
// none that could be deleted.
func TestThinDevicesGone(t *testing.T) {
	for name, change := range map[string]func(d *thin.Device) bool{
		"gone":    func(*thin.Device) bool { return true },
		"another": func(d *thin.Device) bool { d.Transaction += 7; return false },
	} {
		t.Run(name, func(t *testing.T) {
			w, k, r, held := quarantined(t)
			own := w.deviceOf(held[0].Run.Plan, journal.Quarantine)
			name := filepath.Join(w.Dir, "devicemapper/devicemapper/metadata")
			file, err := os.Open(name)
			assert.NilError(t, err)
			m, err := thin.Read(file)
			assert.NilError(t, err)
			assert.NilError(t, file.Close())
			m.Devices = slices.DeleteFunc(m.Devices, func(d thin.Device) bool { return slices.Contains(own, d.ID) && change(&d) })
			for i := range m.Devices {
				if slices.Contains(own, m.Devices[i].ID) {
					change(&m.Devices[i])
				}
			}
			assert.NilError(t, testkit.ThinPool{Transaction: m.Transaction, Devices: m.Devices}.Write(name))
			devices := w.devices()
			purged, err := r.Purge(t.Context(), held)
			assert.NilError(t, err)
			assert.Equal(t, len(purged), 1)
			assert.DeepEqual(t, w.devices(), devices)
			assert.Equal(t, len(k.discard), 0)
		})
	}
}

// A pool that loses more than it was told to is not worked with any further.
func TestThinDevicesGreedy(t *testing.T) {
	_, k, r, held := quarantined(t)
	k.greedy = true
	_, err := r.Purge(t.Context(), held)
	assert.ErrorContains(t, err, "the pool lost more than device")
	assert.Equal(t, len(k.discard), 1)
}

// What is in the way is said, and nothing is deleted.
func TestThinDevicesRefused(t *testing.T) {
	const pool = "devicemapper/devicemapper/"
	for name, test := range map[string]struct {
		do   func(w *world, k *thinKernel, prefix string)
		says string
	}{
		"a layer is active": {func(_ *world, k *thinKernel, prefix string) {
			k.active = append(k.active, &mapped{name: prefix + "base", open: 0})
		}, "is active, and is used"},
		"the pool is used": {func(_ *world, k *thinKernel, prefix string) {
			k.active = append(k.active, &mapped{name: prefix + "pool", open: 1})
		}, "is active, and is used"},
		"a loop device": {func(w *world, k *thinKernel, _ string) {
			k.loops = append(k.loops, &loop{"/dev/loop0", filepath.Join(w.Dir, pool+"data"), 1})
		}, "a loop device is made of it"},
		"other disks": {func(w *world, _ *thinKernel, _ string) {
			assert.NilError(w.t, os.Remove(filepath.Join(w.Dir, pool+"data")))
		}, "is not made of files of the data root"},
		"a link": {func(w *world, _ *thinKernel, _ string) {
			name := filepath.Join(w.Dir, pool+"data")
			assert.NilError(w.t, os.Rename(name, name+".away"))
			assert.NilError(w.t, os.Symlink("data.away", name))
		}, "too many levels of symbolic links"},
		"a transaction that was begun": {func(w *world, _ *thinKernel, _ string) {
			assert.NilError(w.t, os.WriteFile(filepath.Join(w.Dir, "devicemapper/metadata/transaction-metadata"),
				[]byte(`{"open_transaction_id":99,"device_hash":"x","device_id":99}`), 0o600))
		}, "transaction 99 was begun"},
		"a file that names the device": {func(w *world, _ *thinKernel, _ string) {
			for id := range 20 {
				name := fmt.Sprintf("devicemapper/metadata/%064d", id)
				assert.NilError(w.t, os.WriteFile(filepath.Join(w.Dir, name), fmt.Appendf(nil, `{"device_id":%d}`, id), 0o600))
			}
		}, "names device"},
		"a file that may": {func(w *world, _ *thinKernel, _ string) {
			assert.NilError(w.t, os.WriteFile(filepath.Join(w.Dir, "devicemapper/metadata/damaged"), []byte("{"), 0o600))
		}, "which device it names is not known"},
		"a pool that is read-only": {func(_ *world, k *thinKernel, _ string) { k.mode = "ro" }, "it is read-only"},
		"a daemon":                 {func(w *world, _ *thinKernel, _ string) { w.Host.Online = true }, "only while Docker is stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			w, k, r, held := quarantined(t)
			devices := w.devices()
			test.do(w, k, w.poolPrefix())
			purged, err := r.Purge(t.Context(), held)
			assert.ErrorContains(t, err, test.says)
			assert.Equal(t, len(purged), 0)
			assert.DeepEqual(t, w.devices(), devices)
			assert.Equal(t, len(k.discard), 0)
		})
	}
}

// poolPrefix is how the names of the pool's devices begin.
func (w *world) poolPrefix() string {
	var st unix.Stat_t
	assert.NilError(w.t, unix.Stat(filepath.Join(w.Dir, "devicemapper"), &st))
	return fmt.Sprintf("docker-%d:%d-%d-", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
}

// A pool that nobody uses and that a daemon or a run of ours left active when
// it was killed is let go of first.
func TestThinDevicesLeftActive(t *testing.T) {
	w, k := thinWorld(t)
	pool := &mapped{name: w.poolPrefix() + "pool", open: 1}
	k.active = []*mapped{pool, {name: w.poolPrefix() + "orphans", belongTo: pool}}
	plan, owner := w.plan(byName())
	result, err := w.thinRunner(k).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	for _, o := range result.Outcomes {
		assert.Assert(t, o.Gone(), o.Reason)
	}
	assert.Equal(t, len(k.active), 0)
}

// Whatever fails, and whenever the process ends: no device goes but those that
// were to, none of what lives is touched, and the next run ends what was begun.
func TestThinDevicesEveryFault(t *testing.T) {
	for _, kind := range []string{"fails", "fails late", "killed"} {
		for n := 1; ; n++ {
			w, k := thinWorld(t)
			devices, before := w.devices(), w.manifest()
			k.fail, k.late, k.killing = n, kind == "fails late", kind == "killed"
			stray := prune.Options{Named: true, Take: func(f *scan.Finding) bool { return f.Type == scan.TypeLayer }}
			plan, owner := w.plan(stray)
			gone := w.deviceOf(&plan, journal.Device)
			r := w.thinRunner(k)
			_, err := r.Execute(t.Context(), plan, owner)
			assert.NilError(t, err)
			if k.calls < n {
				assert.DeepEqual(t, w.devices(), minus(devices, gone))
				break
			}
			for _, id := range minus(devices, w.devices()) {
				assert.Assert(t, slices.Contains(gone, id), "%s at %d: device %d is gone", kind, n, id)
			}
			k.rise()
			_, err = r.Recover(t.Context())
			assert.NilError(t, err, "%s at %d", kind, n)
			again, owner := w.plan(stray) // what was not begun
			_, err = r.Execute(t.Context(), again, owner)
			assert.NilError(t, err, "%s at %d", kind, n)
			assert.DeepEqual(t, w.devices(), minus(devices, gone))
			assert.Equal(t, len(k.active), 0, "%s at %d", kind, n)
			assert.DeepEqual(t, without(w.manifest(), "devicemapper/devicemapper/metadata"),
				without(before, append(moved(plan, journal.Device), "devicemapper/devicemapper/metadata")...))
		}
	}
}

// unrecorded is a world with a device that has lost its metadata file.
func unrecorded(t *testing.T) (w *world, k *thinKernel, device uint32) {
	t.Helper()
	w = newWorld(t, "devicemapper", "image app: base top\ncontainer web app\nlayer stray on base\nrm LAYERS/{layer stray}\n")
	assert.NilError(t, os.WriteFile(filepath.Join(w.Dir, "devicemapper/devicemapper/data"), make([]byte, 1<<20), 0o600))
	plan, _ := w.plan(forGood())
	ids := w.deviceOf(&plan, journal.Device)
	assert.Equal(t, len(plan.Steps), 1, "%s", &plan)
	assert.Equal(t, len(ids), 1)
	assert.Equal(t, plan.Steps[0].Finding, fmt.Sprintf("device-%d", ids[0]))
	return w, &thinKernel{t: t}, ids[0]
}

// forGood are the options of rm --purge.
func forGood() prune.Options {
	o := byName()
	o.Purge = true
	return o
}

// A device that no metadata file names goes if that is asked for by its name,
// and that it cannot be brought back was said.
func TestThinDeviceUnrecorded(t *testing.T) {
	w, k, device := unrecorded(t)
	for name, o := range map[string]prune.Options{
		"rm":            byName(),
		"prune":         {Take: func(f *scan.Finding) bool { return f.Default }},
		"prune --purge": {Take: func(f *scan.Finding) bool { return f.Default }, Purge: true},
	} {
		plan, _ := w.plan(o)
		assert.Equal(t, len(plan.Steps), 0, "%s: %s", name, &plan)
	}
	before, devices := w.manifest(), w.devices()
	plan, owner := w.plan(forGood())
	result, err := w.thinRunner(k).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Equal(t, result.Outcomes[0].End, journal.Freed, result.Outcomes[0].Reason)
	assert.DeepEqual(t, w.devices(), minus(devices, []uint32{device}))
	const pool = "devicemapper/devicemapper/metadata"
	assert.DeepEqual(t, without(w.manifest(), pool), without(before, pool))
}

// What is found to be somebody's at any look before it goes stays.
func TestThinDeviceClaimed(t *testing.T) {
	for name, claim := range map[string]func(w *world, device uint32){
		"a file that names it": func(w *world, device uint32) {
			id := fmt.Sprintf("%064d", 1)
			text := fmt.Sprintf(`{"device_id":%d,"size":1,"transaction_id":1,"initialized":false}`, device)
			assert.NilError(w.t, os.WriteFile(filepath.Join(w.Dir, "devicemapper/metadata", id), []byte(text), 0o600))
		},
		"another device of its number": func(w *world, device uint32) {
			w.remakePool(func(d *thin.Device) {
				if d.ID == device {
					d.Transaction += 7
				}
			})
		},
		"a container that has lost its layer": func(w *world, _ uint32) {
			id, err := os.ReadFile(filepath.Join(w.Dir, "image/devicemapper/layerdb/mounts", w.id("{container web}"), "mount-id"))
			assert.NilError(w.t, err)
			assert.NilError(w.t, os.RemoveAll(filepath.Join(w.Dir, "devicemapper/metadata", string(id))))
		},
	} {
		for look := 1; look <= 3; look++ { // before the first act, after it, and before the device goes
			t.Run(fmt.Sprintf("%s/%d", name, look), func(t *testing.T) {
				w, k, device := unrecorded(t)
				plan, owner := w.plan(forGood())
				w.atLook = func(n int) {
					if n == look {
						claim(w, device)
					}
				}
				result, err := w.thinRunner(k).Execute(t.Context(), plan, owner)
				assert.NilError(t, err)
				assert.Assert(t, !result.Outcomes[0].Gone(), "%s", result.Outcomes[0].End)
				assert.Assert(t, slices.Contains(w.devices(), device))
				assert.Equal(t, len(k.discard), 0)
			})
		}
	}
}

// remakePool writes the pool anew, with each device changed.
func (w *world) remakePool(change func(d *thin.Device)) {
	name := filepath.Join(w.Dir, "devicemapper/devicemapper/metadata")
	file, err := os.Open(name)
	assert.NilError(w.t, err)
	m, err := thin.Read(file)
	assert.NilError(w.t, err)
	assert.NilError(w.t, file.Close())
	for i := range m.Devices {
		change(&m.Devices[i])
	}
	assert.NilError(w.t, testkit.ThinPool{Transaction: m.Transaction, Devices: m.Devices}.Write(name))
}

// Wherever the process ends, the device is gone or found again, and the next
// run goes on.
func TestThinDeviceUnrecordedKilled(t *testing.T) {
	for n := 1; ; n++ {
		w, k, device := unrecorded(t)
		devices := w.devices()
		k.fail, k.killing = n, true
		plan, owner := w.plan(forGood())
		r := w.thinRunner(k)
		_, err := r.Execute(t.Context(), plan, owner)
		assert.NilError(t, err)
		if k.calls < n {
			break
		}
		k.rise()
		_, err = r.Recover(t.Context())
		assert.NilError(t, err, "at %d", n)
		again, owner := w.plan(forGood())
		_, err = r.Execute(t.Context(), again, owner)
		assert.NilError(t, err)
		assert.DeepEqual(t, w.devices(), minus(devices, []uint32{device}))
	}
}

// A run that ended before it could write down what became of the device does
// not say that it is gone.
func TestThinDeviceUnrecordedInterrupted(t *testing.T) {
	w, k, device := unrecorded(t)
	pool := filepath.Join(w.Dir, "devicemapper/devicemapper/metadata")
	data, err := os.ReadFile(pool)
	assert.NilError(t, err)
	plan, owner := w.plan(forGood())
	r := w.thinRunner(k)
	result, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	name := filepath.Join(w.Dir, journal.File(result.Run))
	lines, err := os.ReadFile(name)
	assert.NilError(t, err)
	last := bytes.LastIndexByte(bytes.TrimSuffix(lines, []byte("\n")), '\n') + 1
	assert.NilError(t, os.WriteFile(name, lines[:last], 0o600))
	assert.NilError(t, os.WriteFile(pool, data, 0o600))
	runs, err := r.Recover(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(runs), 1)
	assert.Equal(t, runs[0].Outcomes[0].End, journal.Skipped)
	assert.Assert(t, slices.Contains(w.devices(), device))
}
