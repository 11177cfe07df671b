package source

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
)

func TestVolumes(t *testing.T) {
	layer := func(id, why string) string {
		return "volume volumes/" + hex1 + "/opts.json → layer vfs/dir/" + id + " (" + why + ")"
	}
	live := "volume volumes/" + hex1 + "/opts.json"
	tests := []struct {
		name  string
		make  func(t *testing.T, root string)
		want  []string
		trace string // that makes layers without a record look like volumes
	}{
		{"none", func(*testing.T, string) {}, nil, ""},
		{"of today", func(t *testing.T, root string) {
			putDirs(t, root, "volumes/"+hex1+"/_data")
			putRows(t, root, map[string]string{hex1: `{"Name":"` + hex1 + `","Driver":"local"}`})
		}, nil, ""},
		{"made of a layer by a driver that keeps no options", func(t *testing.T, root string) {
			putRows(t, root, map[string]string{hex1: `{"Name":"` + hex1 + `","Driver":"local-persist","Options":{"mountpoint":"` + root + `/vfs/dir/` + hex2 + `/x"}}`})
		}, []string{live, layer(hex2, "path")}, ""},
		{"until 1.6", func(t *testing.T, root string) {
			putFile(t, root, "volumes/"+hex1+"/config.json", `{"ID":"`+hex1+`","Path":"`+root+`/vfs/dir/`+hex1+`","IsBindMount":false,"Writable":true}`)
		}, []string{live, layer(hex1, "volume")}, "volumes/" + hex1 + "/config.json"},
		{"until 1.6, of a root that was moved", func(t *testing.T, root string) {
			putFile(t, root, "volumes/"+hex1+"/config.json", `{"ID":"`+hex1+`","Path":"/mnt/old/vfs/dir/`+hex2+`"}`)
		}, []string{live, layer(hex1, "volume"), layer(hex2, "volume")}, "volumes/" + hex1 + "/config.json"},
		{"until 1.6, a bind mount of a container's files", func(t *testing.T, root string) {
			putFile(t, root, "volumes/"+hex1+"/config.json", `{"ID":"`+hex1+`","Path":"`+root+`/containers/`+hex3+`","IsBindMount":true}`)
		}, []string{live, live + " → container containers/" + hex3 + " (path)", layer(hex1, "volume")}, "volumes/" + hex1 + "/config.json"},
		{"migrated", func(t *testing.T, root string) {
			putLink(t, root, "ROOT/vfs/dir/"+hex2, "volumes/"+hex1+"/_data")
		}, []string{live, layer(hex2, "volume")}, "volumes/" + hex1 + "/_data"},
		{"migrated, relative", func(t *testing.T, root string) {
			putLink(t, root, "../../vfs/dir/"+hex2, "volumes/"+hex1+"/_data")
		}, []string{live, layer(hex2, "volume")}, "volumes/" + hex1 + "/_data"},
		{"migrated, of a root that was moved", func(t *testing.T, root string) {
			putLink(t, root, "/mnt/old/vfs/dir/"+hex2, "volumes/"+hex1+"/_data")
		}, []string{live, layer(hex2, "volume")}, "volumes/" + hex1 + "/_data"},
		{"the volume itself a link", func(t *testing.T, root string) {
			putLink(t, root, "ROOT/vfs/dir/"+hex2, "volumes/"+hex1)
		}, []string{live, layer(hex2, "volume")}, "volumes/" + hex1},
		{"data elsewhere", func(t *testing.T, root string) {
			putLink(t, root, "/mnt/nfs", "volumes/"+hex1+"/_data")
		}, nil, ""},
		{"data that is gone", func(t *testing.T, root string) {
			putLink(t, root, "ROOT/vfs/dir/"+strings.Repeat("e", 64), "volumes/"+hex1+"/_data")
		}, nil, "volumes/" + hex1 + "/_data"},
		{"made of a layer", func(t *testing.T, root string) {
			putFile(t, root, "volumes/"+hex1+"/opts.json", `{"MountType":"none","MountOpts":"bind","MountDevice":"`+root+`/vfs/dir/`+hex2+`/x","Quota":{"Size":0}}`)
		}, []string{live, layer(hex2, "path")}, ""},
		{"made of an overlay", func(t *testing.T, root string) {
			putFile(t, root, "volumes/"+hex1+"/opts.json", `{"MountType":"overlay","MountOpts":"lowerdir=`+root+`/vfs/dir/`+hex2+`:/x,upperdir=`+root+`/volumes/other/_data","MountDevice":"overlay"}`)
		}, []string{live, layer(hex2, "path"), live + " → volume volumes/other (path)"}, ""},
		{"graph", func(t *testing.T, root string) { putDirs(t, root, "graph") }, nil, "graph"},
		{"tags", func(t *testing.T, root string) { putFile(t, root, "repositories-vfs", "") }, nil, "repositories-vfs"},
		{"links", func(t *testing.T, root string) { putFile(t, root, "linkgraph.db", "") }, nil, "linkgraph.db"},
		{"migration", func(t *testing.T, root string) { putFile(t, root, ".migration-v1-images.json", "") }, nil, ".migration-v1-images.json"},
		{"init", func(t *testing.T, root string) { putFile(t, root, "init/dockerinit-1.9.1", "") }, nil, "init/dockerinit-1.9.1"},
		{"an init of another kind", func(t *testing.T, root string) { putFile(t, root, "init/x", "") }, nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			putDirs(t, root, "volumes", "vfs/dir/"+hex1, "vfs/dir/"+hex2)
			test.make(t, root)
			in, g := inputOf(t, root, backend.VFS)
			_, err := Volumes.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			want := slices.Sorted(slices.Values(test.want))
			assert.Equal(t, strings.Join(collected(g), "\n"), strings.Join(want, "\n"))
			if test.trace == "" {
				assert.Equal(t, len(g.Doubts), 0)
				return
			}
			assert.Equal(t, len(g.Doubts), 1)
			assert.DeepEqual(t, g.Doubts[0].Scope, scan.Scope{Nodes: []scan.Node{backend.VFS.Layer(hex1), backend.VFS.Layer(hex2)}})
			assert.Assert(t, strings.Contains(g.Doubts[0].Err, "("+test.trace+" is a remain of it)"), g.Doubts[0].Err)
		})
	}
}

// What is known to be no volume's data is not in doubt: a container's layer, an
// image's that a tag names, one with a record, one of BuildKit's making.
func TestVolumesLookAlikes(t *testing.T) {
	root := t.TempDir()
	tagged, recorded, buildID := strings.Repeat("d", 64), strings.Repeat("e", 64), strings.Repeat("z", 25)
	putDirs(t, root, "volumes", "graph")
	for _, id := range []string{hex1, hex2, hex2 + "-init", tagged, recorded, buildID} {
		putDirs(t, root, "vfs/dir/"+id)
	}
	in, g := inputOf(t, root, backend.VFS)
	g.Title(scan.ImageNode(tagged), "app:1")
	g.Refer(scan.ChainNode("vfs", hex3), backend.VFS.Layer(recorded), scan.ByCacheID)
	_, err := Volumes.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.Equal(t, len(g.Doubts), 1)
	assert.DeepEqual(t, g.Doubts[0].Scope, scan.Scope{Nodes: []scan.Node{backend.VFS.Layer(hex1)}})
}

// TestVolumesWithoutVFS has all that would be in doubt, on a host whose
// layers are another driver's.
func TestVolumesWithoutVFS(t *testing.T) {
	root := t.TempDir()
	putDirs(t, root, "graph")
	putFile(t, root, "volumes/"+hex1+"/config.json", `{"ID":"`+hex1+`","Path":"`+root+`/vfs/dir/`+hex1+`"}`)
	in, g := inputOf(t, root, backend.Overlay2)
	_, err := Volumes.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.Equal(t, len(g.Doubts), 0)
	assert.Equal(t, len(collected(g)), 0)
}

func TestVolumesInDoubt(t *testing.T) {
	config, opts := "volumes/"+hex1+"/config.json", "volumes/"+hex1+"/opts.json"
	vfs := scan.Scope{Backend: "vfs", Types: []scan.Type{scan.TypeLayer}}
	broken := func(name string) func(t *testing.T, in *scan.Input) {
		return func(_ *testing.T, in *scan.Input) { in.Tree = brokenTree{in.Tree, name, syscall.EIO} }
	}
	write := func(name, data string) func(t *testing.T, in *scan.Input) {
		return func(t *testing.T, in *scan.Input) { putFile(t, in.DataRoot, name, data) }
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, in *scan.Input)
		where  string
		scope  scan.Scope
		fails  bool
	}{
		{"directory missing", func(t *testing.T, in *scan.Input) {
			assert.NilError(t, os.RemoveAll(filepath.Join(in.DataRoot, "volumes")))
		}, "volumes", vfs, false},
		{"directory unreadable", broken("volumes"), "volumes", scan.Scope{}, true},
		{"directory is a link", func(t *testing.T, in *scan.Input) {
			name := filepath.Join(in.DataRoot, "volumes")
			assert.NilError(t, os.Rename(name, name+".moved"))
			assert.NilError(t, os.Symlink("volumes.moved", name))
		}, "volumes", scan.Scope{}, true},
		{"volume unreadable", broken("volumes/" + hex1), "volumes/" + hex1, scan.Scope{}, false},
		{"data unreadable", broken("volumes/" + hex1 + "/_data"), "volumes/" + hex1 + "/_data", vfs, false},
		{"config unreadable", broken(config), config, vfs, false},
		{"config empty", write(config, ""), config, vfs, false},
		{"config without path", write(config, "{}"), config, vfs, false},
		{"options unreadable", broken(opts), opts, scan.Scope{}, false},
		{"options empty", write(opts, ""), opts, scan.Scope{}, false},
		{"options cut off", write(opts, `{"MountType":"no`), opts, scan.Scope{}, false},
		{"rows unreadable", broken(volumeRows), volumeRows, scan.Scope{}, false},
		{"rows empty", write(volumeRows, ""), volumeRows, scan.Scope{}, false},
		{"rows of another form", func(t *testing.T, in *scan.Input) { putRows(t, in.DataRoot, map[string]string{"x": "y"}) }, volumeRows, scan.Scope{}, false},
		{"rows of no table", func(t *testing.T, in *scan.Input) { putRows(t, in.DataRoot, nil) }, volumeRows, scan.Scope{}, false},
		{"rows missing", func(_ *testing.T, in *scan.Input) { in.Info.Version = "20.10.24" }, volumeRows, scan.Scope{}, false},
		{"rows that the daemon does not have open", func(t *testing.T, in *scan.Input) {
			putRows(t, in.DataRoot, map[string]string{"x": "{}"})
			in.Host.Owner, in.Info.Version = &scan.Process{PID: os.Getpid(), Name: "daemon"}, "20.10.24"
		}, volumeRows, scan.Scope{}, false},
		{"rows of which the daemon has others open", func(t *testing.T, in *scan.Input) {
			putRows(t, in.DataRoot, map[string]string{"x": "{}"})
			f, err := os.Open(filepath.Join(in.DataRoot, volumeRows))
			assert.NilError(t, err)
			t.Cleanup(func() { assert.Check(t, f.Close()) })
			assert.NilError(t, os.Remove(f.Name()))
			putRows(t, in.DataRoot, map[string]string{"x": "{}"})
			in.Host.Owner = &scan.Process{PID: os.Getpid(), Name: "daemon"}
		}, volumeRows, scan.Scope{}, false},
		{"data root unreadable", broken("."), ".", vfs, false},
		{"init unreadable", broken("init"), "init", vfs, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			putDirs(t, root, "volumes/"+hex1+"/_data", "init")
			putFile(t, root, config, `{"ID":"`+hex1+`","Path":"/vfs/dir/`+hex1+`"}`)
			putFile(t, root, opts, `{"MountType":""}`)
			in, g := inputOf(t, root, backend.VFS)
			test.damage(t, in)
			_, err := Volumes.Collect(t.Context(), in, g)
			assert.Equal(t, err != nil, test.fails, "%v", err)
			i := slices.IndexFunc(g.Doubts, func(d scan.Doubt) bool { return d.Where == test.where })
			assert.Assert(t, i >= 0, "%v", g.Doubts)
			assert.DeepEqual(t, g.Doubts[i].Scope, test.scope)
		})
	}
}

// putRows writes the daemon's database of volumes; without its table if rows is
// nil.
func putRows(t *testing.T, root string, rows map[string]string) {
	t.Helper()
	putDirs(t, root, volumesDir)
	db, err := bbolt.Open(filepath.Join(root, volumeRows), 0o600, nil)
	assert.NilError(t, err)
	assert.NilError(t, db.Update(func(tx *bbolt.Tx) error {
		if rows == nil {
			return nil
		}
		table, err := tx.CreateBucket([]byte("volumes"))
		assert.NilError(t, err)
		for name, row := range rows {
			assert.NilError(t, table.Put([]byte(name), []byte(row)))
		}
		return nil
	}))
	assert.NilError(t, db.Close())
}

// A volume that the daemon keeps and that is not on disk may have had its data
// among the layers; what else it is made of the daemon tells.
func TestVolumeWitness(t *testing.T) {
	for name, tc := range map[string]struct {
		mountpoint string
		later      bool // it is still listed when asked again
		doubt      bool
	}{
		"there":         {"ROOT/volumes/there/_data", true, false},
		"not there":     {"ROOT/volumes/gone/_data", true, true},
		"removed since": {"ROOT/volumes/gone/_data", false, false},
		"of a plugin":   {"/mnt/nas/gone", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			putDirs(t, root, "volumes/there/_data", "overlay2/"+hex2)
			in, g := inputOf(t, root, backend.Overlay2)
			mountpoint := strings.Replace(tc.mountpoint, "ROOT", root, 1)
			volume := path.Base(strings.TrimSuffix(mountpoint, "/_data"))
			in.Daemon = &keeping{volume: scan.DaemonVolume{
				Name: volume, Mountpoint: mountpoint, Options: map[string]string{"device": root + "/overlay2/" + hex2 + "/x"},
			}, later: tc.later}
			_, err := API.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			assert.Equal(t, len(g.Doubts) == 1, tc.doubt, "%v", g.Doubts)
			refs := slices.Collect(g.Refs)
			assert.DeepEqual(t, refs, []scan.Ref{{From: volumeRecord(volume), To: backend.Overlay2.Layer(hex2), Why: scan.ByVolume}})
		})
	}
}

// keeping is a daemon with one volume, perhaps only when asked first.
type keeping struct {
	serving
	volume scan.DaemonVolume
	later  bool
	asked  bool
}

func (d *keeping) Volumes(context.Context) ([]scan.DaemonVolume, error) {
	if d.asked && !d.later {
		return nil, nil
	}
	d.asked = true
	return []scan.DaemonVolume{d.volume}, nil
}
