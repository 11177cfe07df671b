package scan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// Every layer of the real roots of Docker before 1.10, and of those that 1.10
// took over, gets the verdict that is true of it.
func TestOldRoots(t *testing.T) {
	for _, name := range testkit.OldRoots {
		t.Run(name, func(t *testing.T) {
			c, want := testkit.Unpack(t, "../testdata/roots", name)
			g, findings := testkit.Judge(t, c)
			assert.Equal(t, g.Host.Before110, !strings.HasSuffix(name, "-migrated"))
			got := map[string]scan.Finding{}
			for _, f := range findings {
				for _, o := range f.Parts {
					if o.Kind == scan.KindVolume { // one may have the id of the layer that is its data
						continue
					}
					got[filepath.Base(o.Name)] = f
					assert.Assert(t, c.Driver == "vfs" || !strings.HasPrefix(o.Name, "vfs/"), "the data of volumes is no layer of %s: %s", c.Driver, o.Name)
				}
			}
			for id, layer := range want.DriverLayers {
				verdict := map[string]scan.Verdict{
					"live": scan.Used, "orphan": scan.Orphan, "not-a-layer": scan.Used, "ambiguous": scan.Unsure,
				}[layer.State]
				if c.Driver == "vfs" && layer.State != "live" && looksLikeAVolume(t, c, id) {
					verdict = scan.Unsure
				}
				assert.Equal(t, got[id].Verdict, verdict, "%s: %v: %s", id, layer.Reasons, got[id].Reason)
			}
			for id, f := range got {
				lost := f.Verdict == scan.Orphan && f.Type == scan.TypeContainer
				assert.Assert(t, !lost, "%s: every container of these roots that is there is somebody's", id)
			}
			roundTrip(t, g, c.Policy, findings)
		})
	}
}

// looksLikeAVolume reports whether nothing tells a layer of vfs from the data
// of an old volume: it has no -init, no tag names it, and no volume does.
func looksLikeAVolume(t *testing.T, c *testkit.Case, id string) bool {
	t.Helper()
	there := func(name string) bool {
		_, err := os.Lstat(filepath.Join(c.Dir, name))
		return err == nil
	}
	tags, err := os.ReadFile(filepath.Join(c.Dir, "repositories-vfs"))
	assert.NilError(t, err)
	return scan.IsID(id) && !there("vfs/dir/"+id+"-init") && !there("volumes/"+id+"/config.json") && !strings.Contains(string(tags), id)
}
