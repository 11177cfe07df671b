package scan_test

import (
	"path/filepath"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
	"gotest.tools/v3/assert"
)

// Every layer, registered layer and mount record of the real roots gets the
// verdict that is true of it.
func TestRealRoots(t *testing.T) {
	for _, name := range testkit.RealRoots {
		t.Run(name, func(t *testing.T) {
			c, want := testkit.Unpack(t, "../testdata/roots", name)
			g, findings := testkit.Judge(t, c)
			got := map[string]scan.Finding{}
			for _, f := range findings {
				for _, o := range f.Parts {
					if o.Kind != scan.KindVolume { // one may have the id of the layer that is its data
						got[filepath.Base(o.Name)] = f
					}
				}
			}
			for id, layer := range want.DriverLayers {
				id := want.Object(id)
				verdict := map[string]scan.Verdict{
					"live": scan.Used, "orphan": scan.Orphan, "not-a-layer": scan.Used, "ambiguous": scan.Unsure,
				}[layer.State]
				if name == "vfs" && layer.State == "orphan" && got[id].Type == scan.TypeLayer {
					// This root has the data of a volume from before Docker 1.9 among its layers.
					// A layer without a record looks like one whose config is lost.
					verdict = scan.Unsure
				}
				assert.Equal(t, got[id].Verdict, verdict, "%s: %v: %s", id, layer.Reasons, got[id].Reason)
			}
			for chain, record := range want.LayerDB {
				id := filepath.Base(chain)[len("sha256:"):]
				verdict := map[string]scan.Verdict{"live": scan.Used, "orphan": scan.Orphan}[record.State]
				assert.Equal(t, got[id].Verdict, verdict, "%s: %s", chain, got[id].Reason)
				if got[id].Type == scan.TypeImageLayer {
					assert.Assert(t, !got[id].Default, "%s: a tag names a lost image and no registry has its layers", id)
				}
			}
			for mount, record := range want.Mounts {
				verdict := map[string]scan.Verdict{"live": scan.Used, "orphan": scan.Orphan}[record.State]
				assert.Equal(t, got[mount].Verdict, verdict, "%s: %s", mount, got[mount].Reason)
			}
			roundTrip(t, g, c.Policy, findings)
		})
	}
}
