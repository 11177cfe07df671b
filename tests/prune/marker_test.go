//go:build linux

package prune_test

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// On media that nobody but the daemon's driver may touch, layers without a
// record are left to the daemon, if they are named: marked as being removed, again by each run and
// only as long as nothing asks for them. What may be a container's never is
// (rules 7 and 11).
func TestMarker(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	w.medium, w.Host.Info.Version = "thin device", "20.10.24"
	before := w.manifest()
	result := w.execute(prune.Options{Purge: true, Named: true})
	assert.DeepEqual(t, w.ends(result), map[string]journal.End{
		"layer {layer over}":   journal.Pending, // {layer stray} below it stays until that has gone
		"download write-set-7": journal.Freed, "download GetImageBlob77": journal.Freed,
	})
	assert.Assert(t, !result.Partly())
	mark := filepath.Join(w.Dir, result.Plan.Steps[0].Marker, "cache-id")
	data, err := os.ReadFile(mark)
	assert.NilError(t, err)
	assert.Equal(t, string(data), w.id("{layer over}"))
	assert.Equal(t, w.verdicts()["layer {layer over}"], "", "the mark and its layer are one thing")

	// Wanted again: the next run takes the mark away, and sets none.
	w.do("write image/DRIVER/layerdb/mounts/{id new}/mount-id \"{layer over}\"")
	_, err = w.runner(w.disk()).Recover(t.Context())
	assert.NilError(t, err)
	_, err = os.Stat(filepath.Dir(mark))
	assert.Assert(t, os.IsNotExist(err))
	assert.Equal(t, w.execute(prune.Options{Named: true}).Plan.String(), "")
	w.do("rm image/DRIVER/layerdb/mounts/{id new}")

	// Still an orphan: it is marked again.
	assert.Equal(t, w.execute(prune.Options{Named: true}).Outcomes[0].End, journal.Pending)
	_, err = w.runner(w.disk()).Recover(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, w.manifest(), without(before, moved(result.Plan, journal.Free)...))

	// Daemons before 20.10 do not collect what is marked.
	w.Host.Info.Version = "19.03.15"
	assert.Equal(t, w.execute(prune.Options{Named: true}).Plan.String(), "")
}

// A mark is there whole, or not at all.
func TestMarkerFaults(t *testing.T) {
	for f := failBefore; f <= crashAfter; f++ {
		for n := 1; n <= 12; n++ {
			w := newWorld(t, "overlay2", stray)
			w.medium, w.Host.Info.Version = "thin device", "28.5.2"
			before := w.manifest()
			plan, owner := w.plan(prune.Options{Named: true})
			disk := &faultyDisk{Disk: w.disk(), at: n, fault: f}
			_ = dies(func() { _, _ = w.runner(disk).Execute(t.Context(), plan, owner) })
			r := w.runner(w.disk())
			_, err := r.Recover(t.Context())
			assert.NilError(t, err)
			assert.DeepEqual(t, w.manifest(), before)
		}
	}
}
