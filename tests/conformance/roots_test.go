package conformance

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
	"github.com/rogpeppe/go-internal/txtar"
	"gotest.tools/v3/assert"
)

// everyRoot runs a test on every data root that there is: those drawn as text,
// each with every driver that it is drawn for, and those of real daemons.
func everyRoot(t *testing.T, test func(t *testing.T, c *testkit.Case)) {
	files, err := filepath.Glob("../roots/*.txtar")
	assert.NilError(t, err)
	assert.Assert(t, len(files) > 0)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		assert.NilError(t, err)
		for _, section := range archive.Files[1:] {
			driver := strings.TrimPrefix(section.Name, "want ")
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+driver, func(t *testing.T) {
				t.Parallel()
				c, err := testkit.Run(t.TempDir(), driver, string(archive.Files[0].Data))
				assert.NilError(t, err)
				test(t, c)
			})
		}
	}
	for _, name := range slices.Concat(testkit.RealRoots, testkit.OldRoots) {
		t.Run("real/"+name, func(t *testing.T) {
			t.Parallel()
			c, _ := testkit.Unpack(t, "../testdata/roots", name)
			test(t, c)
		})
	}
}

// Two scans of the same disk say the same of everything.
func TestTwoScansAgree(t *testing.T) {
	everyRoot(t, func(t *testing.T, c *testkit.Case) {
		_, one := testkit.Judge(t, c)
		_, two := testkit.Judge(t, c)
		assert.DeepEqual(t, one, two)
	})
}

// Everything lies where things of its sort lie, is there, and is listed once.
func TestPathsLieInTheirDirectory(t *testing.T) {
	everyRoot(t, func(t *testing.T, c *testkit.Case) {
		g, _ := testkit.Judge(t, c)
		b := backend.Named(c.Driver)
		seen := map[string]bool{}
		for i := range g.Objects {
			o := &g.Objects[i]
			for _, p := range o.Paths() {
				assert.Assert(t, fs.ValidPath(p) && p != ".", "%s: %q", o.Node, p)
				mounts := o.Medium == scan.ThinDevice && filepath.Dir(p) == "devicemapper/mnt"
				assert.Assert(t, mounts || inPlace(b, o.Kind, p), "%s: %q is no place for it", o.Node, p)
				assert.Assert(t, !seen[p], "%s: %q is listed twice", o.Node, p)
				seen[p] = true
				if o.Unrecognised == "" && !o.Medium.Apart() {
					_, err := os.Lstat(filepath.Join(c.Dir, p))
					assert.NilError(t, err, "%s", o.Node)
				}
			}
		}
	})
}

// inPlace reports whether a path is directly in a directory of its kind.
func inPlace(b *scan.Backend, kind scan.Kind, p string) bool {
	layerdb := "image/" + b.Name + "/layerdb/"
	if kind == scan.KindMount { // those of image mounts are nested
		return strings.HasPrefix(p, layerdb+"mounts/")
	}
	if inVolume, _ := filepath.Match("volumes/*/_data", p); inVolume && kind == scan.KindRoot {
		return true
	}
	dirs := map[scan.Kind][]string{
		scan.KindLayer: {b.Dir}, scan.KindPart: {b.Dir, b.Name + "/layers", b.Name + "/mnt"}, scan.KindLink: {b.Dir + "/l"}, scan.KindChain: {layerdb + "sha256"},
		scan.KindRemoving: {layerdb + "sha256"}, scan.KindDownload: {".", "tmp", "tmp-old", "graph/_tmp", layerdb + "tmp", "plugins", "plugins/*", "plugins/tmp", "containers/*", "image/" + b.Name, "image/" + b.Name + "/imagedb/content/sha256", "image/" + b.Name + "/imagedb/metadata/sha256/*", "image/" + b.Name + "/distribution/*/sha256"}, scan.KindContainer: {"containers"},
		scan.KindBackend: {".", "image"}, scan.KindRoot: {"."}, scan.KindVolume: {"volumes"}, scan.KindMountPoint: {"rootfs/overlayfs"}, scan.KindCache: {"."},
		scan.KindRecord: {
			layerdb + "sha256", "image/" + b.Name + "/imagedb/content/sha256", "image/" + b.Name + "/imagedb/metadata/sha256",
			"image/" + b.Name + "/distribution/v2metadata-by-diffid/sha256", "image/" + b.Name + "/distribution/diffid-by-digest/sha256",
		},
	}
	for _, dir := range dirs[kind] {
		if in, _ := filepath.Match(dir, filepath.Dir(p)); in {
			return true
		}
	}
	return false
}

// A settled case is a root in which nothing is too young to be judged, with
// the daemon or without it.
func settled(t *testing.T, driver string, online bool) *testkit.Case {
	t.Helper()
	script := rich + duplicate[driver] + "now +48h\n"
	if online {
		script += "online started=+1h\nforget {container leak}\nforget {image held}\n"
	}
	c, err := testkit.Run(t.TempDir(), driver, script)
	assert.NilError(t, err)
	return c
}

// eachSettled runs a test on a rich root of every driver, offline and online,
// and on one of Docker before 1.10.
func eachSettled(t *testing.T, test func(t *testing.T, c *testkit.Case)) {
	for _, b := range backend.All {
		for _, online := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s online=%t", b.Name, online), func(t *testing.T) {
				t.Parallel()
				test(t, settled(t, b.Name, online))
			})
		}
		if slices.Contains(testkit.OldDrivers, b.Name) {
			t.Run(b.Name+" before 1.10", func(t *testing.T) {
				t.Parallel()
				c, err := testkit.Run(t.TempDir(), b.Name, old)
				assert.NilError(t, err)
				test(t, c)
			})
		}
	}
	t.Run("another driver before", func(t *testing.T) {
		t.Parallel()
		c, err := testkit.Run(t.TempDir(), "overlay2", switched)
		assert.NilError(t, err)
		test(t, c)
	})
}
