package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/mount"
)

// What a record names by a path that only leads to an object, by a symbolic
// link of the machine, is used like what it names by its own path.
func TestPathsThroughLinks(t *testing.T) {
	config := `{"ID":"` + hex1 + `","Name":"/db","Driver":"overlay2","MountPoints":{"/d":{"Type":"bind","Source":"LINK/overlay2/` + hex2 + `/diff"}}}`
	for name, tc := range map[string]struct {
		file, content string
		source        *scan.Source
	}{
		"config.v2.json":      {"containers/" + hex1 + "/config.v2.json", config, Containers},
		"hostconfig.json":     {"containers/" + hex1 + "/hostconfig.json", `{"Binds":["LINK/overlay2/` + hex2 + `/diff:/d:ro"]}`, Containers},
		"a device":            {"volumes/v/opts.json", `{"MountType":"none","MountOpts":"bind","MountDevice":"LINK/overlay2/` + hex2 + `"}`, Volumes},
		"an overlay's list":   {"volumes/v/opts.json", `{"MountType":"overlay","MountOpts":"lowerdir=/x:LINK/overlay2/` + hex2 + `/diff,upperdir=/y"}`, Volumes},
		"a link as data":      {"volumes/v/_data", "-> LINK/overlay2/" + hex2 + "/diff", Volumes},
		"a plugin's mount":    {"plugins/" + hex1 + "/config.json", pluginConfig("LINK/overlay2/"+hex2, ""), Plugins},
		"a plugin's settings": {"plugins/" + hex1 + "/config.json", pluginConfig("", "LINK/overlay2/"+hex2), Plugins},
	} {
		t.Run(name, func(t *testing.T) {
			root, err := filepath.EvalSymlinks(t.TempDir())
			assert.NilError(t, err)
			link := filepath.Join(t.TempDir(), "link")
			assert.NilError(t, os.Symlink(root, link))
			putDirs(t, root, "volumes", "overlay2/"+hex2)
			putFile(t, root, "containers/"+hex1+"/config.v2.json", `{"ID":"`+hex1+`","Name":"/db","Driver":"overlay2"}`)
			content := strings.ReplaceAll(tc.content, "LINK", link)
			if target, ok := strings.CutPrefix(content, "-> "); ok {
				putLink(t, root, target, tc.file)
			} else {
				putFile(t, root, tc.file, content)
			}
			in, g := inputOf(t, root, backend.Overlay2)
			paths, err := mount.NewResolver("/proc", root, 0)
			assert.NilError(t, err)
			in.Resolve = paths.Resolve
			_, err = tc.source.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			layer := scan.Node{Kind: scan.KindLayer, Name: "overlay2/" + hex2}
			assert.Assert(t, named(g, layer), "%v", collected(g))

			in, g = inputOf(t, root, backend.Overlay2)
			in.Resolve = func(string) (string, error) { return "", os.ErrPermission }
			_, err = tc.source.Collect(t.Context(), in, g)
			assert.Assert(t, err == nil && doubtsEverything(g), "%v %v", err, g.Doubts)
		})
	}
}

// named reports whether anything marks or refers to a node.
func named(g *scan.Graph, n scan.Node) bool {
	for _, m := range g.Marks {
		if m.Node == n {
			return true
		}
	}
	for r := range g.Refs {
		if r.To == n && r.Why == scan.ByPath {
			return true
		}
	}
	return false
}
