package source

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
)

// A volume that cannot be looked at is in doubt, and no other is.
func TestVolumeDirsInDoubt(t *testing.T) {
	for name, tc := range map[string]struct {
		broken string
		where  string
	}{
		"the directory": {"volumes/one", "volumes/one"},
		"its options":   {"volumes/one/opts.json", "volumes/one/opts.json"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			putDirs(t, root, "volumes/one/_data", "volumes/two/_data")
			putFile(t, root, "volumes/one/opts.json", "{}")
			in, g := inputOf(t, root, backend.VFS)
			in.Tree = brokenTree{in.Tree, tc.broken, syscall.EIO}
			_, err := VolumeDirs.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			assert.Equal(t, g.Object(scan.VolumeNode("two")).Unrecognised, "")
			one := g.Object(scan.VolumeNode("one"))
			if one.Unrecognised != "" {
				return
			}
			assert.Equal(t, len(g.Doubts), 1)
			assert.Equal(t, g.Doubts[0].Where, tc.where)
			assert.DeepEqual(t, g.Doubts[0].Scope, scan.Scope{Nodes: []scan.Node{one.Node}})
		})
	}
	root := t.TempDir()
	putDirs(t, root, "volumes/one/_data")
	in, g := inputOf(t, root, backend.VFS)
	in.Tree = blind{in.Tree, "volumes/one"}
	_, err := VolumeDirs.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.Equal(t, len(g.Doubts), 1)
	assert.DeepEqual(t, g.Doubts[0].Scope, scan.Scope{Nodes: []scan.Node{scan.VolumeNode("one")}})

	in, g = inputOf(t, t.TempDir(), backend.VFS)
	in.Tree = brokenTree{in.Tree, "volumes", syscall.EIO}
	_, err = VolumeDirs.Collect(t.Context(), in, g)
	assert.ErrorIs(t, err, syscall.EIO)
}

// blind is a tree of which one directory cannot be listed.
type blind struct {
	scan.Tree
	name string
}

func (b blind) ReadDir(name string) ([]scan.Entry, error) {
	if name == b.name {
		return nil, syscall.EIO
	}
	return b.Tree.ReadDir(name)
}

// What is mounted over a volume's data, or a link in its place leads to, is
// never looked at: it may be a server that does not answer.
func TestVolumeDirsLookAtNoData(t *testing.T) {
	root := t.TempDir()
	putDirs(t, root, "volumes/one/_data", "volumes/two/_data")
	in, g := inputOf(t, root, backend.VFS)
	in.Tree = brokenTree{in.Tree, "volumes/one/_data", syscall.EIO}
	_, err := VolumeDirs.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.Equal(t, len(g.Doubts), 0)
	assert.Equal(t, len(g.Objects), 2)
}

// What a volume's row and the daemon say of it is noted with it.
func TestVolumeFacts(t *testing.T) {
	root := t.TempDir()
	putDirs(t, root, "volumes/one/_data", "volumes/two/_data", "volumes/three/_data")
	putRows(t, root, map[string]string{
		"one":  `{"Name":"one","Driver":"local","Labels":{"a":"1"},"Options":{"size":"1g"}}`,
		"gone": `{"Name":"gone","Driver":"local"}`,
	})
	in, g := inputOf(t, root, backend.VFS)
	in.Daemon = told{volumes: []scan.DaemonVolume{
		{Name: "one", Driver: "local", Scope: "local", Mountpoint: root + "/volumes/one/_data", Labels: map[string]string{"a": "1"}, Options: map[string]string{"size": "1g"}},
		{Name: "two", Driver: "local", Scope: "local", Mountpoint: root + "/volumes/two/_data"},
		{Name: "elsewhere", Driver: "nas", Scope: "global", Mountpoint: "/mnt/nas"},
	}}
	for _, s := range []*scan.Source{VolumeDirs, Volumes, API} {
		_, err := s.Collect(t.Context(), in, g)
		assert.NilError(t, err)
	}
	note := func(name string) scan.Notes { return g.Object(scan.VolumeNode(name)).Note() }
	assert.DeepEqual(t, note("one").Volume, &scan.Volume{Driver: "local", Scope: "local", Options: map[string]string{"size": "1g"}, Listed: true, Recorded: true})
	assert.DeepEqual(t, note("one").Labels, scan.Labels{Known: true, Values: map[string]string{"a": "1"}, From: []string{volumeRows, "GET /volumes"}})
	assert.DeepEqual(t, note("two").Volume, &scan.Volume{Driver: "local", Scope: "local", Listed: true})
	assert.Assert(t, !note("two").Labels.Known, "it has no row: its labels were lost, or it never had any")
	assert.DeepEqual(t, note("three").Volume, &scan.Volume{})
	assert.Equal(t, len(g.Objects), 3)
	assert.Equal(t, len(g.Doubts), 0, "%v", g.Doubts)
	assert.DeepEqual(t, g.Host.LostVolumes, []string{"gone"})
	breaks := scan.Breaks(g)
	assert.Equal(t, len(breaks), 1)
	assert.Equal(t, breaks[0].Node, scan.VolumeNode("gone"))
}

// A volume that a container has in the daemon's answer is in use, whatever is
// on disk (rule 2).
func TestVolumesOfTheDaemonsContainers(t *testing.T) {
	root := t.TempDir()
	putDirs(t, root, "volumes/one/_data", "containers/"+hex1)
	in, g := inputOf(t, root)
	in.Daemon = told{containers: []scan.DaemonContainer{{ID: hex1, Name: "/web", Volumes: []string{"one"}}}}
	_, err := API.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.Assert(t, g.Edges().Needed(scan.VolumeNode("one"), scan.ByVolume))
}

// A service or a task names its volumes, and no more.
func TestVolumesOfSwarm(t *testing.T) {
	root := t.TempDir()
	putDirs(t, root, "volumes/data/_data", "volumes/more/_data")
	putTasks(t, root, map[string]string{"b": field(3, field(1, field(8, field(7, field(2, "data")))))}, "v1", "tasks")
	in, g := inputOf(t, root, backend.VFS)
	in.Info.Manager, in.Daemon = true, told{services: []scan.DaemonService{{Name: "s", JSON: []byte(`{"Mounts":[{"Type":"volume","Source":"more"}]}`)}}}
	for _, s := range []*scan.Source{VolumeDirs, Swarm, API} {
		_, err := s.Collect(t.Context(), in, g)
		assert.NilError(t, err)
	}
	said := map[scan.Node]string{}
	for _, m := range g.Marks {
		said[m.Node] = m.What
	}
	assert.DeepEqual(t, said, map[scan.Node]string{scan.VolumeNode("data"): "swarm task b", scan.VolumeNode("more"): "service s"})
}

// told is a daemon that answers what it was told to.
type told struct {
	serving
	volumes    []scan.DaemonVolume
	containers []scan.DaemonContainer
	services   []scan.DaemonService
}

func (d told) Volumes(context.Context) ([]scan.DaemonVolume, error) { return d.volumes, nil }

func (d told) Containers(context.Context) ([]scan.DaemonContainer, error) { return d.containers, nil }

func (d told) Services(context.Context) ([]scan.DaemonService, error) { return d.services, nil }

func TestVolumesIn(t *testing.T) {
	for config, want := range map[string]string{
		`{"MountPoints":{"/b":{"Name":"two"},"/a":{"Name":"one"},"/c":{"Source":"/srv"}}}`:            "one two",
		`{"MountPoints":null,"Binds":null}`:                                                           "",
		`{"Binds":["one:/a:ro","/srv:/b","rel/path:/c"],"Mounts":[{"Type":"volume","Source":"two"}]}`: "one two",
		`{"MountPoints":[]}`: "cannot",
		`{`:                  "unexpected",
	} {
		nodes, err := volumesIn([]byte(config))
		var names []string
		for _, n := range nodes {
			names = append(names, filepath.Base(n.Name))
		}
		if err != nil {
			assert.ErrorContains(t, err, want, config)
			continue
		}
		assert.Equal(t, strings.Join(names, " "), want, config)
	}
}

// A device where the database should be, and files that are no volumes'.
func TestVolumeDirsOwnFiles(t *testing.T) {
	root := t.TempDir()
	putFile(t, root, "volumes/metadata.db", "")
	assert.NilError(t, os.Symlink("/dev/null", filepath.Join(root, "volumes/backingFsBlockDev")))
	in, g := inputOf(t, root, backend.VFS)
	_, err := VolumeDirs.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.Equal(t, len(g.Objects), 1)
	assert.Equal(t, g.Objects[0].Unrecognised, "a symbolic link")
}
