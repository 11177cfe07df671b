package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"gotest.tools/v3/assert"
)

// pluginConfig is a config.json as dockerd 20.10 writes it, with a mount's
// source and a setting.
func pluginConfig(source, env string) string {
	return fmt.Sprintf(`{"plugin":{"Config":{"Args":{"Settable":null,"Value":null},"Env":[{"Name":"BASE","Settable":["value"],"Value":%[2]q}],
		"Interface":{"Socket":"x.sock","Types":["docker.volumedriver/1.0"]},"Mounts":[{"Destination":"/m","Name":"m","Options":["rbind"],"Source":%[1]q,"Type":"bind"}],
		"PropagatedMount":"/data","rootfs":{"diff_ids":["sha256:%[3]s"],"type":"layers"}},"Enabled":false,"Id":%[4]q,"Name":"me/pl:1",
		"Settings":{"Devices":[],"Env":[%[5]q],"Mounts":[{"Destination":"/m","Name":"m","Source":%[1]q,"Type":"bind"}]}},
		"Rootfs":"","Config":"sha256:%[3]s","Blobsums":["sha256:%[3]s"],"SwarmServiceID":""}`, source, env, hex3, hex1, "BASE="+env)
}

func TestPlugins(t *testing.T) {
	tests := []struct {
		name        string
		source, env string // below the data root
		want        []string
	}{
		{"nothing of ours", "/etc", "", nil},
		{"the data root itself", "ROOT", "ROOT/", nil},
		{"all layers", "ROOT/overlay2", "ROOT/volumes", nil},
		{"a layer", "ROOT/overlay2/" + hex2 + "/diff", "", []string{"layer overlay2/" + hex2}},
		{"a layer and a container", "ROOT/overlay2/" + hex2, "ROOT/containers/" + hex3 + "/x", []string{"container containers/" + hex3, "layer overlay2/" + hex2}},
		{"a volume", "ROOT/volumes/pv/_data", "", []string{"volume volumes/pv"}},
		{"by the path of another day", "/var/lib/docker/volumes/pv", "", []string{"volume volumes/pv"}},
		{
			"a list of directories", "", "lowerdir=ROOT/overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWX27:ROOT/overlay2/" + hex2 + "/diff",
			[]string{"layer overlay2/" + hex2, "link overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWX27"},
		},
		{"not below", "ROOT-old/volumes/pv", "../volumes/pv", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			in, g := inputOf(t, root, backend.Overlay2)
			in.Aliases = []string{"", "/var/lib/docker/"}
			config := pluginConfig(strings.ReplaceAll(test.source, "ROOT", root), strings.ReplaceAll(test.env, "ROOT", root))
			putFile(t, root, "plugins/"+hex1+"/config.json", config)
			putDirs(t, root, "plugins/storage/blobs", "plugins/tmp", "plugins/"+hex2+"-removing")
			note, err := Plugins.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			assert.Equal(t, note, "1 plugins")
			assert.Equal(t, len(g.Doubts), 0)
			assert.Equal(t, strings.Join(collected(g), "\n"), strings.Join(test.want, "\n"))
			for _, m := range g.Marks {
				assert.Equal(t, m.What, "plugin me/pl:1")
				assert.Equal(t, m.Where, "plugins/"+hex1+"/config.json")
			}
		})
	}
}

func TestPluginsInDoubt(t *testing.T) {
	config := "plugins/" + hex1 + "/config.json"
	tests := []struct {
		name   string
		damage func(t *testing.T, in *scan.Input)
		where  string
		err    string // of Collect
	}{
		{"none", func(t *testing.T, in *scan.Input) {
			assert.NilError(t, os.RemoveAll(filepath.Join(in.DataRoot, "plugins")))
		}, "", ""},
		{"directory unreadable", func(_ *testing.T, in *scan.Input) {
			in.Tree = brokenTree{in.Tree, "plugins", syscall.EIO}
		}, "plugins", "input/output error"},
		{"config unreadable", func(_ *testing.T, in *scan.Input) { in.Tree = brokenTree{in.Tree, config, syscall.EIO} }, config, ""},
		{"config missing", func(t *testing.T, in *scan.Input) {
			assert.NilError(t, os.Remove(filepath.Join(in.DataRoot, config)))
		}, config, ""},
		{"config empty", func(t *testing.T, in *scan.Input) { putFile(t, in.DataRoot, config, "") }, config, ""},
		{"config cut off", func(t *testing.T, in *scan.Input) {
			putFile(t, in.DataRoot, config, pluginConfig("/", "")[:300])
		}, config, ""},
		{"config of another shape", func(t *testing.T, in *scan.Input) { putFile(t, in.DataRoot, config, `["plugin"]`) }, config, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			in, g := inputOf(t, root, backend.VFS)
			putFile(t, root, config, pluginConfig("/etc", ""))
			test.damage(t, in)
			_, err := Plugins.Collect(t.Context(), in, g)
			if test.err == "" {
				assert.NilError(t, err)
			} else {
				assert.ErrorContains(t, err, test.err)
			}
			if test.where == "" {
				assert.Equal(t, len(g.Doubts), 0)
				return
			}
			assert.Equal(t, len(g.Doubts), 1)
			assert.Equal(t, g.Doubts[0].Where, test.where)
			assert.DeepEqual(t, g.Doubts[0].Scope, scan.Scope{}) // everything
		})
	}
}

func TestObjectAt(t *testing.T) {
	btrfs := &scan.Backend{Name: "btrfs", Dir: "btrfs/subvolumes", Layer: func(id string) scan.Node {
		return scan.Node{Kind: scan.KindLayer, Name: "btrfs/subvolumes/" + id}
	}}
	in := &scan.Input{
		DataRoot: "/data/docker", Aliases: []string{"/var/lib/docker", ""},
		Backends: []*scan.Backend{backend.Overlay2, backend.VFS, btrfs},
	}
	tests := []struct{ path, want string }{
		{"/data/docker/overlay2/" + hex1, "layer overlay2/" + hex1},
		{"/data/docker/overlay2/" + hex1 + "-init/diff/etc", "layer overlay2/" + hex1 + "-init"},
		{"/data/docker//overlay2/./x/../" + hex1 + "/merged", "layer overlay2/" + hex1},
		{"/data/docker/overlay2/" + buildA + "/diff", "layer overlay2/" + buildA},
		{"/data/docker/overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ", "link overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		{"/data/docker/overlay2/l", ""},
		{"/var/lib/docker/vfs/dir/" + hex2 + "/x", "layer vfs/dir/" + hex2},
		{"/data/docker/btrfs/subvolumes/" + hex2, "layer btrfs/subvolumes/" + hex2},
		{"/data/docker/zfs/graph/" + hex2, ""},
		{"/data/docker/containers/" + hex3 + "/x.log", "container containers/" + hex3},
		{"/data/docker/containers", ""},
		{"/data/docker/containers/x", ""},
		{"/data/docker/volumes/name/_data/sub", "volume volumes/name"},
		{"/data/docker/volumes/a\x1bb", `volume volumes/a\x1bb`},
		{"/data/docker/volumes", ""},
		{"/data/docker/volumes/", ""},
		{"/data/docker", ""},
		{"/data/docker/../docker/volumes/x", "volume volumes/x"},
		{"/data/docker/volumes/../../x", ""},
		{"/data/docker-2/volumes/x", ""},
		{"data/docker/volumes/x", ""},
		{"", ""},
	}
	for _, test := range tests {
		node, ok := objectAt(in, test.path)
		assert.Equal(t, ok, test.want != "", test.path)
		if ok {
			assert.Equal(t, node.String(), test.want, test.path)
		}
	}
	in.DataRoot, in.Aliases = "/", nil
	node, ok := objectAt(in, "/volumes/x")
	assert.Assert(t, ok)
	assert.Equal(t, node.String(), "volume volumes/x")
}
