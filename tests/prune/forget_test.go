//go:build linux

package prune_test

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// later is how many runs are remembered some time from now, by a daemon. What is
// said of everything else is what was said before.
func (w *world) later(age time.Duration, daemon *scan.Process) int {
	w.t.Helper()
	r := w.runner(w.disk())
	before := w.verdicts()
	r.Now = func() time.Time { return time.Now().Add(age) }
	assert.NilError(w.t, r.ForgetOld(daemon))
	assert.DeepEqual(w.t, w.verdicts(), before)
	runs, err := journal.Read(r.Tree)
	assert.NilError(w.t, err)
	return len(runs)
}

// A run is forgotten once it is long over, and nothing depends on what it took.
func TestForgetOld(t *testing.T) {
	const old = prune.Remembered + time.Hour

	w := newWorld(t, "overlay2", leaky)
	assert.Equal(t, w.later(old, w.Host.Owner), 0, "nothing was ever removed")
	w.execute(prune.Options{Purge: true})
	assert.Equal(t, w.later(prune.Remembered-time.Hour, nil), 1, "it is not that old")
	assert.Equal(t, w.later(old, w.Host.Owner), 1, "the daemon counts what the container's layer lies on")
	w.restart()
	assert.Equal(t, w.later(old, w.Host.Owner), 0)

	for _, what := range []string{"held", "restored", "purged"} {
		w := newWorld(t, "overlay2", leaky)
		w.execute(prune.Options{})
		w.restart()
		r := w.runner(w.disk())
		held, err := r.Held()
		assert.NilError(t, err)
		want := 1
		switch what {
		case "restored":
			_, err = r.Restore(t.Context(), held)
		case "purged":
			want = 0
			_, err = r.Purge(t.Context(), held)
		}
		assert.NilError(t, err)
		assert.Equal(t, w.later(old, w.Host.Owner), want, what)
	}

	// What it took was the reason for a doubt, which it is still.
	w = newWorld(t, "overlay2", `
image app: base top
container web app
layer stray on base
mkdir containers/{container lost}
online
`)
	w.execute(prune.Options{Purge: true})
	w.restart()
	assert.Equal(t, w.later(old, w.Host.Owner), 1)
	assert.Equal(t, w.verdicts()["layer {layer stray}"], "unsure")

	// It was cut off: the next run ends it first.
	w = newWorld(t, "overlay2", leaky)
	w.cutOff(prune.Options{}, "rename overlay2/"+w.id("{layer over}"))
	assert.Equal(t, w.later(old, nil), 1)
}
