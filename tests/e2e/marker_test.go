//go:build e2e && linux

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/daemon"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/locate"
	"github.com/docker-orphans/docker-orphans/scan/source"
)

// A layer that is marked as being removed is deleted by the daemon when it
// stops, and by nobody before. The layers of this daemon could go by hand; they
// are said to be thin devices, which cannot.
func TestMarker(t *testing.T) {
	t.Parallel()
	h := newHost(t, place{"debian", "overlay2"})
	cut := h.KillInImport(t, 1<<20)
	h.again(t)
	api, err := client.NewClientWithOpts(client.WithHost(h.Host), client.WithAPIVersionNegotiation())
	assert.NilError(t, err)
	defer api.Close()

	look := func(ctx context.Context, run string, named map[scan.Node]bool, _ func(*scan.Object) *scan.Usage) (*prune.Sight, error) {
		in, done, err := locate.Find(ctx, locate.Options{Daemon: daemon.New(api), Endpoint: h.Host, Proc: "/proc"})
		if err != nil {
			return nil, err
		}
		defer func() { _ = done() }()
		in.Run, in.Named = run, named
		seen := &prune.Sight{Input: in, Graph: scan.Scan(ctx, in, source.All)}
		for i := range seen.Graph.Objects {
			if o := &seen.Graph.Objects[i]; o.Kind == scan.KindLayer {
				o.Medium = scan.ThinDevice
			}
		}
		seen.Findings, err = scan.Judge(ctx, in, seen.Graph, scan.Policy{Now: time.Now(), Grace: time.Second})
		return seen, err
	}
	var result *prune.Result
	for range patience { // see there
		seen, err := look(t.Context(), "", nil, nil)
		assert.NilError(t, err)
		take := func(f *scan.Finding) bool { return f.DataPath() == cut.Layer }
		plan := prune.NewPlan(seen.Graph, seen.Findings, prune.Options{Take: take})
		if len(plan.Steps) == 0 {
			time.Sleep(200 * time.Millisecond)
			continue
		}
		in, done, err := locate.Find(t.Context(), locate.Options{Daemon: daemon.New(api), Endpoint: h.Host, Proc: "/proc"})
		assert.NilError(t, err)
		unlock, err := prune.Lock(h.Root)
		assert.NilError(t, err)
		disk, closeDisk, err := prune.OpenDisk(h.Root, "/proc")
		assert.NilError(t, err)
		r := &prune.Runner{
			Tree: in.Tree, Disk: disk, Look: look, Policy: prune.DefaultPolicy(), Now: time.Now, Report: func(prune.Event) {},
		}
		result, err = r.Execute(t.Context(), plan, seen.Graph.Host.Owner)
		assert.NilError(t, err)
		assert.NilError(t, unlock())
		assert.NilError(t, closeDisk())
		assert.NilError(t, done())
		if result.Outcomes[0].End == journal.Pending {
			break
		}
	}
	assert.Assert(t, result != nil && result.Outcomes[0].End == journal.Pending, "%v", result)
	h.assertVerdict(t, cut.Layer, []string{"kept"}, shortGrace...)
	assert.Assert(t, h.Has(cut.Layer))
	h.Stop(t)
	assert.Assert(t, !h.Has(cut.Layer) && !h.Has(result.Plan.Steps[0].Marker))
	h.again(t)
}
