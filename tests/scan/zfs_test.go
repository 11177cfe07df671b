package scan_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tool"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// What else lies in the pool: nothing that anything of it needs, or that is
// not all Docker's own, is an orphan.
func TestDatasets(t *testing.T) {
	of := func(format string, args ...any) string {
		return testkit.ParentDataset + "/" + fmt.Sprintf(format, args...)
	}
	for name, tc := range map[string]struct {
		add  func(id string) []zfs.Dataset
		want scan.Verdict
	}{
		"nothing else":           {func(string) []zfs.Dataset { return nil }, scan.Orphan},
		"a snapshot of Docker's": {func(id string) []zfs.Dataset { return []zfs.Dataset{{Name: of("%s@12", id)}} }, scan.Orphan},
		"a snapshot of a user's": {func(id string) []zfs.Dataset { return []zfs.Dataset{{Name: of("%s@daily", id)}} }, scan.Unknown},
		"a dataset below":        {func(id string) []zfs.Dataset { return []zfs.Dataset{{Name: of("%s/data", id)}} }, scan.Unknown},
		"a clone elsewhere": {func(id string) []zfs.Dataset {
			return []zfs.Dataset{{Name: "tank/other", Origin: of("%s@12", id)}}
		}, scan.Held},
		"a clone that is no layer": {func(id string) []zfs.Dataset {
			return []zfs.Dataset{{Name: of("data"), Origin: of("%s@12", id)}}
		}, scan.Held},
		"the origin of a layer in use": {func(id string) []zfs.Dataset {
			return []zfs.Dataset{{Name: of("%s", testkit.ID("layer top")), Origin: of("%s@12", id)}}
		}, scan.Used},
	} {
		c, err := testkit.Run(filepath.Join(t.TempDir(), "root"), "zfs", "image app: base top\ncontainer web app\nlayer stray\nnow +48h\n")
		assert.NilError(t, err)
		stray, err := c.Expand("{layer stray}")
		assert.NilError(t, err)
		for _, d := range tc.add(stray) {
			replaced := false
			for i := range c.Pools.Datasets {
				if c.Pools.Datasets[i].Name == d.Name {
					c.Pools.Datasets[i].Origin, replaced = d.Origin, true
				}
			}
			if !replaced {
				c.Pools.Datasets = append(c.Pools.Datasets, d)
			}
		}
		_, findings := testkit.Judge(t, c)
		for _, f := range findings {
			if f.ID == stray {
				assert.Equal(t, f.Verdict, tc.want, "%s: %s", name, f.Reason)
			}
			assert.Assert(t, f.Verdict != scan.Orphan || !f.Default, "%s: prune takes no dataset", f.ID)
		}
	}
}

// Where the datasets cannot be listed, or lie elsewhere, nothing is judged, and
// the doubt says what to do.
func TestNoDatasets(t *testing.T) {
	for says, hurt := range map[string]func(c *testkit.Case){
		"install zfs":  func(c *testkit.Case) { c.Pools.Err = fmt.Errorf("zfs: %w", tool.ErrMissing) },
		"cannot open":  func(c *testkit.Case) { c.Pools.Err = errors.New("cannot open") },
		"zfs.fsname":   func(c *testkit.Case) { c.Pools.Datasets = []zfs.Dataset{{Name: testkit.ParentDataset}} },
		"another pool": func(c *testkit.Case) { c.Pools.Err = errors.New("another pool") },
	} {
		c, err := testkit.Run(filepath.Join(t.TempDir(), "root"), "zfs", "image app: base top\nimage lost: base more\ncontainer web app\nlayer stray\nnow +48h\n"+
			"rm image/DRIVER/imagedb/content/sha256/{image lost}\n")
		assert.NilError(t, err)
		hurt(c)
		g, findings := testkit.Judge(t, c)
		for _, f := range findings {
			assert.Assert(t, f.Verdict != scan.Orphan, "%s: %s %s", says, f.Type, f.ID)
		}
		told := false
		for _, d := range g.Doubts {
			told = told || strings.Contains(d.String()+d.Hint, says)
		}
		assert.Assert(t, told, "%s: %v", says, g.Doubts)
	}
}

// Where the datasets cannot be listed, nothing is told to be lost: no record
// of a layer's, and no build's.
func TestNoDatasetsIsNoLoss(t *testing.T) {
	c, want := testkit.Unpack(t, "../testdata/roots", "zfs")
	assert.Assert(t, len(want.DriverLayers) > 0)
	c.Pools.Err = fmt.Errorf("zfs: %w", tool.ErrMissing)
	g, _ := testkit.Judge(t, c)
	for _, b := range scan.Breaks(g) {
		assert.Equal(t, b.Node.Kind, scan.KindImage, "%s: %s", b.Node, b.What) // a tag, whose image is lost
	}
}
