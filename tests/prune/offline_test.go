//go:build linux

package prune_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/driver"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// leakyOffline has one thing of each sort below a daemon that is stopped, two
// registered layers of one lost image, and one that a vanished container's
// layer lies on.
const leakyOffline = `
image app: base top
container web app
image gone: base mid high
image held: base low
container leak held
rm image/DRIVER/imagedb/content/sha256/{image gone}
rm image/DRIVER/imagedb/content/sha256/{image held}
write image/DRIVER/repositories.json "{\"Repositories\":{\"app\":{\"app:1\":\"sha256:{image app}\"}}}"
rm containers/{container leak}
layer stray on base
write image/DRIVER/layerdb/tmp/write-set-7/size "1"
write tmp/GetImageBlob77 "half a blob"
`

// Without a daemon everything goes in one run, the topmost first; but for
// what the quarantine needs.
func TestExecuteOffline(t *testing.T) {
	for _, driver := range []string{"overlay2", "vfs", "fuse-overlayfs", "aufs", "btrfs"} {
		t.Run(driver, func(t *testing.T) {
			w := newWorld(t, driver, leakyOffline)
			before := w.manifest()
			plan, owner := w.plan(prune.Options{})
			r := w.runner(w.disk())
			r.Adopt = nil
			result, err := r.Execute(t.Context(), plan, owner)
			assert.NilError(t, err)
			want := map[string]journal.End{
				"image-layer {chain gone 3}": journal.Freed, "image-layer {chain gone 2}": journal.Freed,
				"layer {layer stray}":       journal.Freed,
				"rw-layer {container leak}": journal.Quarantined,
				"download write-set-7":      journal.Freed, "download GetImageBlob77": journal.Freed,
			}
			assert.DeepEqual(t, w.ends(result), want)
			assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Free, journal.Quarantine)...))
			assert.Equal(t, w.verdicts()["image-layer {chain held 2}"], "kept")

			// Once its container's layer is purged it goes too.
			held, err := r.Held()
			assert.NilError(t, err)
			_, err = r.Purge(t.Context(), held)
			assert.NilError(t, err)
			assert.DeepEqual(t, w.ends(w.execute(prune.Options{})), map[string]journal.End{"image-layer {chain held 2}": journal.Freed})

			// To free at once is to free all in one run.
			w = newWorld(t, driver, leakyOffline)
			want["image-layer {chain held 2}"] = journal.Freed
			want["rw-layer {container leak}"] = journal.Freed
			assert.DeepEqual(t, w.ends(w.execute(prune.Options{Purge: true})), want)
		})
	}
}

// Rule 7: what was planned while no daemon ran is not carried out once one
// does: it has every registered layer in memory.
func TestOfflinePlanOnline(t *testing.T) {
	w := newWorld(t, "overlay2", leakyOffline)
	before := w.manifest()
	plan, _ := w.plan(prune.Options{})
	w.do("online")
	for _, lost := range []string{"{image gone}", "{image held}", "{container leak}"} {
		w.do("forget " + lost)
	}
	result, err := w.runner(w.disk()).Execute(t.Context(), plan, w.Host.Owner)
	assert.NilError(t, err)
	for name, end := range w.ends(result) {
		if strings.HasPrefix(name, "image-layer") {
			assert.Equal(t, end, journal.Skipped, name)
		}
	}
	after := w.manifest()
	for name := range before {
		if strings.Contains(name, "/layerdb/sha256/") {
			assert.Assert(t, after[name] != "", name)
		}
	}
}

// layers is where the layers are.
func (w *world) layers() string { return backend.Named(w.Driver).Dir }

// assertRecords asserts that no registered layer has lost its data: a daemon
// that is started on such a record tells every pull that the layer is there.
func (w *world) assertRecords() {
	w.t.Helper()
	records, err := filepath.Glob(filepath.Join(w.Dir, "image/*/layerdb/sha256/*/cache-id"))
	assert.NilError(w.t, err)
	for _, record := range records {
		layers := w.layers()
		for i := range driver.All { // another driver may have left records too
			if d := &driver.All[i]; d.Name != w.Driver && strings.HasPrefix(record, filepath.Join(w.Dir, d.Store())+"/") {
				layers = d.Layers
			}
		}
		id, err := os.ReadFile(record)
		assert.NilError(w.t, err)
		if w.repair && w.Symbols(string(id)) == "{layer only}" {
			continue // that is gone from the beginning
		}
		_, err = os.Stat(filepath.Join(w.Dir, layers, string(id)))
		assert.NilError(w.t, err, "%s is registered", w.Symbols(string(id)))
	}
}

// The process ended when only the record of a layer was taken, and a daemon
// was started that has pulled that very layer since. Its record stays, and
// what was not taken is still there for the next run.
func TestRegisteredAnewSince(t *testing.T) {
	w := newWorld(t, "overlay2", leakyOffline)
	before := w.manifest()
	plan, owner := w.plan(prune.Options{})
	record := "image/overlay2/layerdb/sha256/" + w.id("{chain gone 3}")
	disk := &faultyDisk{Disk: w.disk(), fault: crashAfter, what: "rename " + record}
	assert.Assert(t, dies(func() { _, _ = w.runner(disk).Execute(t.Context(), plan, owner) }))
	w.do("layer anew on mid base")
	w.do("write " + record + "/cache-id \"{layer anew}\"")
	for _, file := range []string{"diff", "parent", "size"} {
		old, err := filepath.Glob(filepath.Join(w.Dir, journal.Runs, "*/trash/*="+filepath.Base(record), file))
		assert.NilError(t, err)
		assert.Equal(t, len(old), 1)
		assert.NilError(t, os.Rename(old[0], filepath.Join(w.Dir, record, file)))
	}
	r := w.runner(w.disk())
	runs, err := r.Recover(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(runs), 1)
	now := w.manifest()
	for name := range before {
		assert.Assert(t, now[name] != "", "%s is gone", w.Symbols(name))
	}
	assert.Assert(t, now["overlay2/"+w.id("{layer anew}")+"/diff"] != "")
	id, err := os.ReadFile(filepath.Join(w.Dir, record, "cache-id"))
	assert.NilError(t, err)
	assert.Equal(t, w.Symbols(string(id)), "{layer anew}")
	assert.Equal(t, w.verdicts()["layer {layer high}"], "orphan")
	left, err := filepath.Glob(filepath.Join(w.Dir, journal.Runs, "*/trash/*"))
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, "%v", left)
}

// Whoever works with the data root ends a run that began when nobody did: a
// container that outlives its daemon, a daemon that is only starting, one who
// writes there. Nothing of it is gone.
func TestInUseMeanwhile(t *testing.T) {
	for name, tc := range map[string]struct {
		comm, cmdline string
		says          string
	}{
		"a container": {"containerd-shim", "containerd-shim-runc-v2\x00-id\x00{container web}\x00", "container "},
		"a daemon":    {"dockerd", "dockerd\x00--data-root\x00ROOT\x00", "dockerd (pid 99) was started on this data root"},
	} {
		for at := 1; at <= 2; at++ {
			t.Run(fmt.Sprintf("%s/%d", name, at), func(t *testing.T) {
				w := newWorld(t, "overlay2", leakyOffline)
				before := w.manifest()
				plan, owner := w.plan(prune.Options{Purge: true})
				w.atLook = func(n int) {
					if n == at {
						dir := filepath.Join(w.proc(), "99")
						assert.NilError(t, os.CopyFS(dir, os.DirFS(filepath.Join(w.proc(), "1"))))
						line := strings.ReplaceAll(tc.cmdline, "ROOT", w.Dir)
						line = strings.ReplaceAll(line, "{container web}", w.id("{container web}"))
						assert.NilError(t, os.WriteFile(filepath.Join(dir, "cmdline"), []byte(line), 0o600))
						assert.NilError(t, os.WriteFile(filepath.Join(dir, "comm"), []byte(tc.comm+"\n"), 0o600))
					}
				}
				result, err := w.runner(w.disk()).Execute(t.Context(), plan, owner)
				if at == 1 {
					assert.ErrorContains(t, err, "is in use though no daemon answers: "+tc.says)
				} else {
					assert.NilError(t, err)
					assert.Assert(t, strings.Contains(result.Stopped, "is in use though no daemon answers: "+tc.says), result.Stopped)
				}
				assert.DeepEqual(t, w.manifest(), before)
			})
		}
	}
}

// A real root loses exactly what is an orphan of it, in one run, and then has
// none. What lies apart from it stays, with its records.
func TestRealRootsOffline(t *testing.T) {
	for _, name := range slices.Concat(testkit.RealRoots, testkit.OldRoots) {
		t.Run(name, func(t *testing.T) {
			c, want := testkit.Unpack(t, "../testdata/roots", name)
			w := &world{Case: c, t: t}
			stays := name == "devicemapper-lvm" // what no pool of files has
			apart := []string{"devicemapper/devicemapper/metadata", "devicemapper/mnt"}
			before := w.manifest()
			verdicts := map[string]scan.Verdict{}
			for _, f := range w.look("", nil, nil).Findings {
				for _, o := range f.Parts {
					for _, p := range o.Paths() {
						verdicts[p] = f.Verdict
					}
				}
			}
			plan, owner := w.plan(prune.Options{Purge: true, Named: true})
			r := w.thinRunner(&thinKernel{t: t})
			result, err := r.Execute(t.Context(), plan, owner)
			assert.NilError(t, err)
			for _, o := range result.Outcomes {
				assert.Equal(t, o.End, journal.Freed, "%s: %s", plan.Step(o.Step).Finding, o.Reason)
			}
			after := w.manifest()
			assert.DeepEqual(t, without(after, apart...), without(before, append(moved(plan, journal.Free, journal.Device, journal.Dataset), apart...)...))
			for id, layer := range want.DriverLayers {
				p := filepath.Join(w.layers(), id)
				_, was := before[p]
				_, is := after[p]
				// What may as well be the data of an old volume stays.
				orphan := layer.State == "orphan" && !stays && (w.Driver != "vfs" || verdicts[p] != scan.Unsure)
				assert.Equal(t, is, was && !orphan, "%s is %s: %v", id, layer.State, layer.Reasons)
			}
			for chain, record := range want.LayerDB {
				_, there := after[filepath.Join("image", w.Driver, "layerdb", strings.Replace(chain, ":", "/", 1))]
				assert.Equal(t, there, record.State != "orphan" || stays, chain)
			}
			for mount, record := range want.Mounts {
				_, there := after[filepath.Join("image", w.Driver, "layerdb/mounts", mount)]
				assert.Equal(t, there, record.State != "orphan" || stays, mount)
			}
			for _, f := range w.look("", nil, nil).Findings {
				// A device of a pool without a file, a volume that must be meant or wants a daemon.
				left := stays || strings.HasPrefix(f.ID, "device-") || f.Type == scan.TypeVolume
				assert.Assert(t, f.Verdict != scan.Orphan || left && f.NotMine != "", "%s %s", f.Type, f.ID)
			}
		})
	}
}
