//go:build linux

package prune_test

import (
	"context"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// leaky has one thing of each sort, and things that must stay.
const leaky = `
image app: base top
container web app
layer stray on base
layer over on stray
container leak app
rm containers/{container leak}
write image/DRIVER/layerdb/tmp/write-set-7/size "1"
write tmp/GetImageBlob77 "half a blob"
online
forget {container leak}
`

// leftBehind is a root in which another storage driver was used before.
const leftBehind = `
image app: base top
container web app
with OTHER image old: old-base old-top
with OTHER container gone old
write volumes/data/_data/file "x"
with OTHER write containers/{container gone}/hostconfig.json "{\"Binds\":[\"ROOT/volumes/data/_data:/data\"]}"
layer stray on base
online
`

func TestExecute(t *testing.T) {
	for _, driver := range []string{"overlay2", "vfs", "aufs", "btrfs"} {
		t.Run(driver, func(t *testing.T) {
			w := newWorld(t, driver, leaky)
			before := w.manifest()
			plan, owner := w.plan(prune.Options{})
			result, err := w.runner(w.disk()).Execute(t.Context(), plan, owner)
			assert.NilError(t, err)
			assert.DeepEqual(t, w.ends(result), map[string]journal.End{
				"layer {layer stray}": journal.Freed, "layer {layer over}": journal.Freed,
				"rw-layer {container leak}": journal.Quarantined,
				"download write-set-7":      journal.Freed, "download GetImageBlob77": journal.Freed,
			})
			assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Free, journal.Quarantine)...))
			assert.Equal(t, w.verdicts()["rw-layer {container leak}"], "kept")

			// Once more, there is nothing to do.
			again, _ := w.plan(prune.Options{})
			assert.Equal(t, again.String(), "")

			// What was set aside comes back as it was, and is kept.
			r := w.runner(w.disk())
			held, err := r.Held()
			assert.NilError(t, err)
			interrupted, interrupt := context.WithCancel(t.Context())
			interrupt()
			_, err = r.Restore(interrupted, held)
			assert.ErrorIs(t, err, context.Canceled)
			assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Free, journal.Quarantine)...))
			_, err = r.Restore(t.Context(), held)
			assert.NilError(t, err)
			assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Free)...))
			assert.Equal(t, w.verdicts()["rw-layer {container leak}"], "kept")
			again, _ = w.plan(prune.Options{})
			assert.Equal(t, again.String(), "")
		})
	}
}
