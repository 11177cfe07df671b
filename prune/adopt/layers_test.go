package adopt

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// What a storage driver has for a layer is a directory, the metadata file of a
// thin device, or no file at all.
func TestCheckData(t *testing.T) {
	for driver, names := range map[string]struct{ good, bad string }{
		"vfs":          {"vfs/dir/{layer a}", "vfs/dir/{layer a}/file"},
		"devicemapper": {"devicemapper/metadata/{layer a}", "devicemapper/mnt"},
	} {
		t.Run(driver, func(t *testing.T) {
			c, err := testkit.Run(t.TempDir(), driver, "layer a")
			assert.NilError(t, err)
			in := testkit.Input(t, c)
			check := func(name string) error {
				name, err := c.Expand(name)
				assert.NilError(t, err)
				return checkData(in.Tree, driver, scan.Node{Kind: scan.KindLayer, Name: name})
			}
			assert.NilError(t, check(names.good))
			assert.ErrorContains(t, check(names.bad), "not a ")
			assert.ErrorContains(t, check(names.good+"0"), "no such file")
		})
	}
	assert.NilError(t, checkData(nil, "zfs", scan.Node{}))
}
