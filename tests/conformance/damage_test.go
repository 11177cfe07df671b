// Package conformance holds every backend to what must be true of all of
// them, in every data root: damage never makes an orphan.
package conformance

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
	"gotest.tools/v3/assert"
)

// rich is a root with something of every kind, in use and not.
const rich = `
image app: base top
image other: base extra more
image held: base kept
container web app
container c held
container leak app
build step on top base
build copy on base
buildkit step
layer stray on base
rm image/DRIVER/imagedb/content/sha256/{image held}
rm containers/{container leak}
mkdir image/DRIVER/layerdb/tmp/write-set-7
mkdir tmp-old
mkdir plugins/{id gone}-removing
mkdir plugins/tmp/.rootfs1
write image/DRIVER/.tmp-repositories.json1 "{"
write containers/{container web}/.tmp-config.v2.json2 "{"
write containers/{container c}/.tmp-hostconfig.json3 "{"
mkdir rootfs/overlayfs/{container web}
mkdir rootfs/overlayfs/{id vanished}
write volumes/data/_data/file "x"
volume {id nameless}
volume taken
volume remote "{\"Driver\":\"local\",\"Options\":{\"type\":\"nfs\",\"device\":\":/x\"}}"
write volumes/remote/opts.json "{\"MountType\":\"nfs\",\"MountDevice\":\":/x\"}"
write containers/{container c}/config.v2.json "{\"ID\":\"{container c}\",\"Name\":\"/c\",\"Driver\":\"DRIVER\",\"Image\":\"sha256:{image held}\",\"MountPoints\":{\"/a\":{\"Name\":\"taken\"}}}"
write containers/{container web}/hostconfig.json "{\"Binds\":[\"ROOT/volumes/data/_data:/data\"]}"
`

// duplicate makes the duplicate of a build what a live image lies on, with the
// drivers that keep a layer as a difference to others.
var duplicate = map[string]string{
	"overlay2":       linkDuplicate,
	"fuse-overlayfs": linkDuplicate,
	"aufs": `
write aufs/layers/{layer top} "{layer copy}\n{layer base}\n"
write aufs/layers/{init web} "{layer top}\n{layer copy}\n{layer base}\n"
write aufs/layers/{mount web} "{init web}\n{layer top}\n{layer copy}\n{layer base}\n"
write aufs/layers/{init leak} "{layer top}\n{layer copy}\n{layer base}\n"
write aufs/layers/{mount leak} "{init leak}\n{layer top}\n{layer copy}\n{layer base}\n"
write aufs/layers/{layer step} "{layer top}\n{layer copy}\n{layer base}\n"
`,
	"overlay": `
rm LAYERS/{layer copy}
write LAYERS/{layer copy}/root/file ""
rm LAYERS/{layer top}
write LAYERS/{layer top}/upper/file ""
mkdir LAYERS/{layer top}/work
write LAYERS/{layer top}/lower-id "{layer copy}"
`,
}

const linkDuplicate = `
write LAYERS/{layer top}/lower "l/{link copy}:l/{link base}"
`

// old is the same as far as Docker before 1.10 had it.
const old = `
before 1.10
image app: base top
image other: base extra more
image held: base kept
container web app
container c held
container leak app
rm graph/{layer kept}
rm containers/{container leak}
layer stray on base
mkdir graph/_tmp/{id load}
write volumes/data/_data/file "x"
write volumes/{id volume}/config.json "{\"ID\":\"{id volume}\",\"Path\":\"ROOT/vfs/dir/{id volume}\"}"
mkdir vfs/dir/{id volume}
write containers/{container web}/hostconfig.json "{\"Binds\":[\"ROOT/volumes/data/_data:/data\"]}"
now +48h
`

// switched is a small root that another driver has left something in.
const switched = `
image app: base
container web app
layer stray on base
with vfs image old: old-base
with vfs container gone old
write volumes/data/_data/file "x"
with vfs write containers/{container gone}/hostconfig.json "{\"Binds\":[\"ROOT/volumes/data/_data:/data\"]}"
now +48h
online started=+1h
`

// A damage is a way in which a file or a directory can be hurt.
type damage struct {
	name  string
	apply func(path string, dir bool) error
}

var errNotApplicable = errors.New("not applicable")

var damages = []damage{
	{"removed", func(path string, _ bool) error { return os.RemoveAll(path) }},
	{"emptied", func(path string, dir bool) error {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if dir {
			return os.Mkdir(path, 0o700)
		}
		return os.WriteFile(path, nil, 0o600)
	}},
	{"cut off", func(path string, dir bool) error {
		if dir {
			return errNotApplicable
		}
		data, err := os.ReadFile(path)
		if err != nil || len(data) < 2 {
			return errNotApplicable
		}
		return os.WriteFile(path, data[:len(data)/2], 0o600)
	}},
	{"garbage", func(path string, dir bool) error {
		if dir {
			return errNotApplicable
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return errNotApplicable
		}
		for i := range data {
			data[i] ^= 0x5a
		}
		return os.WriteFile(path, append(data, 0xff), 0o600)
	}},
	{"a symbolic link", func(path string, _ bool) error {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		return os.Symlink("/etc", path)
	}},
	{"the other kind", func(path string, dir bool) error {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if dir {
			return os.WriteFile(path, []byte("x"), 0o600)
		}
		return os.Mkdir(path, 0o700)
	}},
}

// legitimate lists damage that equals what Docker or a user does on purpose,
// or what a leak is: the thing was let go.
var legitimate = []struct{ path, damage, why string }{
	{"image/*/imagedb/content/sha256/*", "removed", "an image was removed: its layers are orphans, and a tag that is left keeps them out of prune's default set"},
	{"graph/*", "removed", "an image of Docker before 1.10 was removed: its layer is an orphan"},
	{"containers/*", "removed", "a container's directory was lost: the leak that rw-layer is about"},
	{"aufs/diff/?????????????????????????", "removed", "build cache was lost: nobody misses it, nor what lies beside it"},
	{"devicemapper/metadata/?????????????????????????", "removed", "build cache was lost, and its device is left in the pool"},
	{"*overlay*/?????????????????????????", "removed", "build cache was lost: nobody misses it, and its short link leads nowhere"},
}

func isLegitimate(name string, d damage) bool {
	for _, l := range legitimate {
		if ok, _ := filepath.Match(l.path, name); ok && l.damage == d.name {
			return true
		}
	}
	return false
}

// Whatever is lost or damaged proves nothing (rule 1).
func TestDamageMakesNoOrphans(t *testing.T) {
	eachSettled(t, func(t *testing.T, c *testkit.Case) {
		before := verdicts(t, c)
		assert.Assert(t, slices.Contains(values(before), scan.Orphan), "nothing is an orphan to begin with")
		cases := 0
		for _, name := range everything(t, c.Dir) {
			for _, d := range damages {
				if isLegitimate(name, d) || !hurt(t, c.Dir, name, d) {
					continue
				}
				cases++
				for node, after := range verdicts(t, c) {
					was := before[owner(node, name)]
					if after == scan.Orphan && was != scan.Orphan {
						t.Errorf("%s %s: %s was %s and is an orphan", c.Symbols(name), d.name, c.Symbols(node.String()), was)
					}
				}
				heal(t, c.Dir, name)
			}
		}
		assert.DeepEqual(t, verdicts(t, c), before)
		t.Logf("%d kinds of damage", cases)
	})
}

// owner is the thing whose verdict before the damage counts for a node: for a
// link that dangles now, the layer that was removed,
// and of a device of a pool without a record, the layer whose record it was.
func owner(node scan.Node, damaged string) scan.Node {
	if node.Kind == scan.KindLink || strings.Contains(node.Name, "/device-") {
		return scan.Node{Kind: scan.KindLayer, Name: damaged}
	}
	return node
}

func verdicts(t *testing.T, c *testkit.Case) map[scan.Node]scan.Verdict {
	t.Helper()
	_, findings := testkit.Judge(t, c)
	found := map[scan.Node]scan.Verdict{}
	for _, f := range findings {
		for _, o := range f.Parts {
			found[o.Node] = f.Verdict
		}
	}
	return found
}

func values(m map[scan.Node]scan.Verdict) []scan.Verdict {
	var all []scan.Verdict
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// contents are the directories in which the drivers keep the files of a layer.
var contents = []string{"diff", "root", "upper"}

// everything lists all paths of a root whose content the scan looks at: what
// is inside of layers is not.
func everything(t *testing.T, root string) []string {
	var names []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		names = append(names, strings.TrimPrefix(path, root+"/"))
		if e.IsDir() && slices.Contains(contents, e.Name()) {
			return fs.SkipDir
		}
		return nil
	})
	assert.NilError(t, err)
	return names
}

// hurt damages a path, of which it keeps the good state aside, and reports
// whether that kind of damage applies to it.
func hurt(t *testing.T, root, name string, d damage) bool {
	path := filepath.Join(root, name)
	aside := root + ".aside"
	info, err := os.Lstat(path)
	assert.NilError(t, err)
	if info.Mode()&fs.ModeSymlink != 0 && d.name != "removed" && d.name != "a symbolic link" {
		return false
	}
	assert.NilError(t, os.Rename(path, aside))
	assert.NilError(t, copyTree(aside, path))
	if err := d.apply(path, info.IsDir()); err != nil {
		assert.ErrorIs(t, err, errNotApplicable)
		heal(t, root, name)
		return false
	}
	return true
}

func heal(t *testing.T, root, name string) {
	path := filepath.Join(root, name)
	assert.NilError(t, os.RemoveAll(path))
	assert.NilError(t, os.Rename(root+".aside", path))
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		switch {
		case e.IsDir():
			return os.Mkdir(target, 0o700)
		case e.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}
