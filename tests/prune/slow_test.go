//go:build linux

package prune_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
)

// On a busy machine a look takes longer than the time between two of them.
// That makes a run slow, once a batch, and not once a step.
func TestSlowLooks(t *testing.T) {
	const steps = 20
	script := strings.Builder{}
	script.WriteString("image app: base top\ncontainer web app\n")
	for i := range steps {
		fmt.Fprintf(&script, "write tmp/GetImageBlob%d \"half a blob\"\n", i)
	}
	w := newWorld(t, "overlay2", script.String()+"online\n")
	plan, owner := w.plan(prune.Options{})
	assert.Equal(t, len(plan.Steps), steps)
	r := w.runner(w.disk())
	r.Policy = prune.DefaultPolicy()
	now := plan.Made.Add(r.Policy.Between)
	r.Now = func() time.Time { return now }
	look := r.Look
	r.Look = func(ctx context.Context, run string, named map[scan.Node]bool, walked func(*scan.Object) *scan.Usage) (*prune.Sight, error) {
		now = now.Add(2 * r.Policy.BatchTime)
		return look(ctx, run, named, walked)
	}
	result, err := r.Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	assert.Assert(t, !result.Partly(), "%v", result.Outcomes)
	assert.Equal(t, w.looks, 2, "the one before the first act, and the one after the last")
}
