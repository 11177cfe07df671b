package scan_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
	"gotest.tools/v3/assert"
)

// truth is what is known of a real root: the daemon's own view before it was
// broken, and what was broken.
type truth struct {
	DriverLayers map[string]struct {
		State   string
		LayerDB []string `json:"layerdb"`
		Reasons []string
	} `json:"driver_layers"`
	LayerDB map[string]struct{ State string } `json:"layerdb"`
	Mounts  map[string]struct{ State string } `json:"layerdb_mounts"`
}

// unpack unpacks a real data root.
func unpack(t *testing.T, name string) (*testkit.Case, truth) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("real roots hold devices, owners and trusted xattrs: run the tests as root")
	}
	dir := t.TempDir()
	out, err := exec.Command("tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xSpf",
		"../testdata/roots/"+name+".tar.gz", "-C", dir).CombinedOutput()
	assert.NilError(t, err, "%s", out)
	data, err := os.ReadFile("../testdata/roots/" + name + ".truth.json")
	assert.NilError(t, err)
	var want truth
	assert.NilError(t, json.Unmarshal(data, &want))
	root := &testkit.Root{Dir: filepath.Join(dir, "root"), Driver: name}
	return &testkit.Case{Root: root, Policy: scan.Policy{Now: time.Now(), Grace: scan.DefaultGrace}}, want
}

// Every layer, registered layer and mount record of the real roots gets the
// verdict that is true of it.
func TestRealRoots(t *testing.T) {
	for _, name := range []string{"overlay2", "vfs", "fuse-overlayfs"} {
		t.Run(name, func(t *testing.T) {
			c, want := unpack(t, name)
			g, findings := testkit.Judge(t, c)
			got := map[string]scan.Finding{}
			for _, f := range findings {
				for _, o := range f.Parts {
					got[filepath.Base(o.Name)] = f
				}
			}
			for id, layer := range want.DriverLayers {
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
