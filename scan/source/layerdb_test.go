package source

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
)

// putChain registers a layer, and returns its chain.
func putChain(t *testing.T, root, driver, id string, diff digest.Digest) scan.Node {
	t.Helper()
	n := scan.ChainNode(driver, diff.String())
	putFile(t, root, n.Name+"/cache-id", id)
	putFile(t, root, n.Name+"/diff", diff.String())
	putFile(t, root, n.Name+"/size", "1")
	return n
}

// putImage makes an image of one layer.
func putImage(t *testing.T, root, driver string, diff digest.Digest) {
	t.Helper()
	data := `{"rootfs":{"type":"layers","diff_ids":["` + diff.String() + `"]}}`
	putFile(t, root, "image/"+driver+"/imagedb/content/sha256/"+digest.FromString(data).Encoded(), data)
}

// putContainer makes a container with its layers and its mount record.
func putContainer(t *testing.T, root, id, layer string, parent digest.Digest) {
	t.Helper()
	record := scan.MountNode("vfs", id).Name
	putDirs(t, root, "vfs/dir/"+layer, "vfs/dir/"+layer+"-init")
	putFile(t, root, record+"/mount-id", layer)
	putFile(t, root, record+"/init-id", layer+"-init")
	putFile(t, root, record+"/parent", parent.String())
	putFile(t, root, "containers/"+id+"/config.v2.json", `{"ID":"`+id+`","Driver":"vfs","Name":"/c"}`)
	putFile(t, root, "containers/"+id+"/hostconfig.json", `{}`)
}

// A record that is made between the readings of the registry and of what names
// it says what it needs as any other, though that was there for long: a layer of
// the build cache becomes an image's, a container is made of an image whose
// config was lost.
func TestLateRecords(t *testing.T) {
	step, lost := digest.FromString("step"), digest.FromString("lost")
	build := strings.Repeat("b", 25)
	for name, tc := range map[string]struct {
		meanwhile func(t *testing.T, root string)
		needed    scan.Node
	}{
		"layer": {func(t *testing.T, root string) {
			putChain(t, root, "vfs", build, step)
			putImage(t, root, "vfs", step)
		}, backend.VFS.Layer(build)},
		"mount record": {func(t *testing.T, root string) {
			putContainer(t, root, strings.Repeat("4", 64), strings.Repeat("5", 64), lost)
		}, scan.ChainNode("vfs", lost.String())},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			base := digest.FromString("base")
			putDirs(t, root, "vfs/dir/"+build, "vfs/dir/"+hex1, "vfs/dir/"+strings.Repeat("6", 64))
			putChain(t, root, "vfs", hex1, base)
			putChain(t, root, "vfs", strings.Repeat("6", 64), lost)
			putImage(t, root, "vfs", base)
			putFile(t, root, "image/vfs/repositories.json", "{}")
			putContainer(t, root, hex3, hex2, base)
			race := &scan.Source{ID: "race", Collect: func(context.Context, *scan.Input, *scan.Graph) (string, error) {
				tc.meanwhile(t, root)
				return "", nil
			}}
			f := judged(t, root, tc.needed, LayerDB, race, ImageDB, Containers)
			assert.Equal(t, f.Verdict, scan.Used, f.Reason)
		})
	}
}

// judged scans a data root that a daemon has which started long after all was
// made, and returns the finding that a node is part of. What the sources have not
// read says nothing.
func judged(t *testing.T, root string, n scan.Node, sources ...*scan.Source) *scan.Finding {
	t.Helper()
	in, _ := inputOf(t, root, backend.VFS)
	in.Now = time.Now
	start := time.Now().Add(time.Hour)
	in.Host = scan.Host{DataRoot: root, Owner: &scan.Process{PID: 1 << 30, Started: start}, TmpMade: start, Now: start.Add(time.Hour)}
	g := scan.Scan(t.Context(), in, sources)
	for _, s := range All {
		g.Reports = append(g.Reports, scan.Report{Source: s.ID, Complete: true})
	}
	findings := scan.Classify(g, scan.Policy{Now: in.Host.Now, Grace: time.Hour})
	for i := range findings {
		for _, o := range findings[i].Parts {
			if o.Node == n {
				return &findings[i]
			}
		}
	}
	t.Fatalf("%v: not found", n)
	return nil
}

// What is being released has its name only since it was last changed, however old
// it is: the daemon may be at it now.
func TestRemovingIsAsOldAsItsName(t *testing.T) {
	for _, n := range []scan.Node{
		{Kind: scan.KindRemoving, Name: "image/aufs/layerdb/sha256/" + hex1 + "-abc-removing"},
		{Kind: scan.KindPart, Name: "aufs/diff/" + hex2 + "-removing"},
	} {
		root := t.TempDir()
		putDirs(t, root, "aufs/layers", "aufs/mnt")
		putFile(t, root, n.Name+"/cache-id", hex1)
		in, g := inputOf(t, root, backend.Aufs)
		_, err := LayerDB.Collect(t.Context(), in, g)
		assert.NilError(t, err)
		o := g.Object(n)
		assert.Assert(t, o.Note().Created != nil, n)
		assert.Equal(t, *o.Note().Created, o.Stamp.Change, n)
	}
}

// The pool is listed as often for many layers whose datasets are gone as for one.
func TestLostDatasetsAreListedOnce(t *testing.T) {
	lists := func(lost int) int {
		root := t.TempDir()
		for i := range lost {
			putChain(t, root, "zfs", digest.FromString(fmt.Sprint(i)).Encoded(), digest.FromString(fmt.Sprint("diff", i)))
		}
		disk, err := tree.Open(root)
		assert.NilError(t, err)
		defer disk.Close()
		pools := &countingPools{}
		in := &scan.Input{Tree: disk, DataRoot: root, Pools: pools, Backends: []*scan.Backend{backend.ZFS}, Now: time.Now}
		g := scan.Scan(t.Context(), in, []*scan.Source{LayerDB})
		missing := 0
		for i := range g.Objects {
			if g.Objects[i].Note().Missing != "" {
				missing++
			}
		}
		assert.Equal(t, missing, lost)
		return pools.lists
	}
	assert.Equal(t, lists(20), lists(1))
}

// countingPools counts how often the pool is listed. It has one layer.
type countingPools struct{ lists int }

func (c *countingPools) At(context.Context, string) (string, error) { return "tank/docker", nil }

func (c *countingPools) List(context.Context, string) ([]zfs.Dataset, error) {
	c.lists++
	return []zfs.Dataset{{Name: "tank/docker", GUID: 1}, {Name: "tank/docker/" + hex1, GUID: 2}}, nil
}
