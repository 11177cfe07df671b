//go:build linux

package prune_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// brokenImages has records without data of every sort, and one broken image
// that a container needs.
const brokenImages = `
image app: deep
container web app
image one: base only above
image two: base only more
image bad: deep other
rm LAYERS/{layer only}
mkdir image/DRIVER/layerdb/sha256/{id empty}
write image/DRIVER/layerdb/sha256/{id part}/diff "sha256:{id part}"
write image/DRIVER/imagedb/metadata/sha256/{image one}/lastUpdated "2020-01-01T00:00:00Z"
write image/DRIVER/imagedb/content/sha256/{image bad} "{"
`

// What is broken is set aside with what lies on it, the images first; and what
// it lay on stays, also once the quarantine is purged.
func TestRepair(t *testing.T) {
	w := newWorld(t, "vfs", brokenImages)
	plan, owner := w.plan(prune.Options{})
	assert.Equal(t, len(plan.Steps), 8, "%s", plan)
	result, err := w.runner(w.disk()).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.DeepEqual(t, w.ends(result), map[string]journal.End{
		"metadata {image one}": journal.Quarantined, "metadata {image two}": journal.Quarantined, "metadata {image bad}": journal.Quarantined,
		"metadata {id empty}": journal.Quarantined, "metadata {id part}": journal.Quarantined,
		"image-layer {chain two 2}": journal.Quarantined, "image-layer {chain one 3}": journal.Quarantined, "image-layer {chain two 3}": journal.Quarantined,
	})
	r := w.runner(w.disk())
	held, err := r.Held()
	assert.NilError(t, err)
	_, err = r.Purge(t.Context(), held)
	assert.NilError(t, err)
	w.aside, w.repair = nil, false
	left, _ := w.plan(prune.Options{Take: func(*scan.Finding) bool { return true }})
	assert.Equal(t, left.String(), "", "something became an orphan because its record was set aside (rule 16)")
	verdicts := w.verdicts()
	assert.Equal(t, verdicts["image-layer {chain two 1}"], "unsure")
	assert.Equal(t, verdicts["image-layer {chain bad 1}"], "used")
}

// A step is skipped if its thing is not as broken as it was.
func TestRepairedMeanwhile(t *testing.T) {
	w := newWorld(t, "vfs", brokenImages)
	plan, owner := w.plan(prune.Options{})
	w.atLook = func(n int) {
		if n == 1 {
			assert.NilError(t, w.Statement(`write image/DRIVER/layerdb/sha256/{id part}/cache-id "{id data}"`))
			assert.NilError(t, w.Statement(`mkdir vfs/dir/{layer only}`))
		}
	}
	result, err := w.runner(w.disk()).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	for name, end := range w.ends(result) {
		want := journal.Skipped
		if name == "metadata {image bad}" || name == "metadata {id empty}" {
			want = journal.Quarantined
		}
		assert.Equal(t, end, want, name)
	}
}
