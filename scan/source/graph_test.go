package source

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
)

// oldRoot has an image and a container of Docker before 1.10, and its volume.
func oldRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	putDirs(t, root, "vfs/dir/"+hex1, "vfs/dir/"+hex2, "graph/_tmp", "network/files", "trust", "tmp", "init", "execdriver/native")
	putFile(t, root, "graph/"+hex1+"/json", `{"id":"`+hex1+`"}`)
	putFile(t, root, "graph/"+hex1+"/layersize", "1")
	putFile(t, root, "containers/"+hex2+"/config.json", `{"ID":"`+hex2+`","Name":"/web","Image":"`+hex1+`"}`)
	putFile(t, root, "volumes/"+hex3+"/config.json", `{}`)
	putFile(t, root, "repositories-vfs", `{"Repositories":{"app":{"1":"`+hex1+`"}}}`)
	putFile(t, root, "linkgraph.db", "x")
	return root
}

// Any trace of a Docker since 1.10 makes its records those that count, and what
// cannot be looked at may be one (rule 1).
func TestBefore110(t *testing.T) {
	for name, tc := range map[string]struct {
		hurt func(t *testing.T, in *scan.Input)
		want bool
		fail bool
	}{
		"as it was":            {func(*testing.T, *scan.Input) {}, true, false},
		"image store":          {func(t *testing.T, in *scan.Input) { putDirs(t, in.DataRoot, "image/vfs") }, false, false},
		"move begun":           {func(t *testing.T, in *scan.Input) { putFile(t, in.DataRoot, "graph/"+hex1+"/.migration-diffid", "x") }, false, false},
		"images moved":         {func(t *testing.T, in *scan.Input) { putFile(t, in.DataRoot, ".migration-v1-images.json", "{}") }, false, false},
		"tags moved":           {func(t *testing.T, in *scan.Input) { putFile(t, in.DataRoot, ".migration-v1-tags", "") }, false, false},
		"a container of today": {func(t *testing.T, in *scan.Input) { putFile(t, in.DataRoot, "containers/"+hex3+"/config.v2.json", "") }, false, false},
		"volumes":              {func(t *testing.T, in *scan.Input) { putFile(t, in.DataRoot, "volumes/metadata.db", "") }, false, false},
		"engine id":            {func(t *testing.T, in *scan.Input) { putFile(t, in.DataRoot, "engine-id", "") }, false, false},
		"not told": {func(_ *testing.T, in *scan.Input) {
			in.Tree = brokenTree{in.Tree, "containers/" + hex2 + "/config.v2.json", syscall.EIO}
		}, false, false},
		"root unreadable":       {func(_ *testing.T, in *scan.Input) { in.Tree = brokenTree{in.Tree, ".", syscall.EIO} }, false, true},
		"containers unreadable": {func(_ *testing.T, in *scan.Input) { in.Tree = brokenTree{in.Tree, "containers", syscall.EIO} }, false, true},
		"a link":                {func(t *testing.T, in *scan.Input) { putLink(t, in.DataRoot, "/etc", "image") }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			in, g := inputOf(t, oldRoot(t), backend.VFS)
			tc.hurt(t, in)
			_, err := Graph.Collect(t.Context(), in, g)
			assert.Equal(t, err != nil, tc.fail, "%v", err)
			assert.Equal(t, g.Host.Before110, tc.want)
		})
	}
}

// The parent of an image is told as the daemon told it.
func TestOldParent(t *testing.T) {
	for name, tc := range map[string]struct {
		config, parent string // parent: "" for no such file
		want, err      string
	}{
		"none":                       {`{"id":"` + hex1 + `"}`, "", "", ""},
		"in the config":              {`{"id":"` + hex1 + `","parent":"` + hex2 + `"}`, "", hex2, ""},
		"by digest":                  {`{"id":"` + hex1 + `","parent_id":"sha256:` + hex2 + `"}`, "", hex2, ""},
		"known by another id here":   {`{"id":"` + hex1 + `","parent_id":"sha256:` + hex2 + `"}`, hex3, hex3, ""},
		"no id":                      {`{"parent":"` + hex2 + `"}`, "", hex2, ""},
		"another's":                  {`{"id":"` + hex2 + `"}`, "", "", "is the config of"},
		"a path":                     {`{"parent":"../../etc"}`, "", "", "is no image's id"},
		"too short":                  {`{"parent":"` + hex2[1:] + `"}`, "", "", "is no image's id"},
		"a path in its own file":     {`{}`, "../../etc", "", "is no image's id"},
		"nothing in its own file":    {`{"parent":"` + hex2 + `"}`, " ", "", "is empty"},
		"of another form":            {`[]`, "", "", "cannot unmarshal"},
		"cut off":                    {`{"id":"` + hex1 + `","par`, "", "", "unexpected end"},
		"a digest of another length": {`{"parent_id":"sha256:12"}`, "", "", "parent_id"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			putFile(t, root, "graph/"+hex1+"/json", tc.config)
			if tc.parent != "" {
				putFile(t, root, "graph/"+hex1+"/parent", strings.TrimSpace(tc.parent))
			}
			in, _ := inputOf(t, root, backend.VFS)
			got, err := oldParent(in, hex1)
			if tc.err != "" {
				assert.ErrorContains(t, err, tc.err)
			} else {
				assert.NilError(t, err)
			}
			assert.Equal(t, got, tc.want)
		})
	}
}

// An image that is removed while its record is read is no reason to doubt.
func TestGraphWhileItChanges(t *testing.T) {
	root := oldRoot(t)
	in, g := inputOf(t, root, backend.VFS)
	in.Tree = vanishingTree{in.Tree, "graph/" + hex1}
	_, err := Graph.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.Equal(t, len(g.Doubts), 0, "%v", g.Doubts)
}

// vanishingTree removes a directory when a file of it is read.
type vanishingTree struct {
	scan.Tree
	dir string
}

func (v vanishingTree) ReadFile(name string, limit int64) ([]byte, error) {
	if strings.HasPrefix(name, v.dir+"/") {
		root := v.Tree.(interface{ Path() string }).Path()
		if err := os.RemoveAll(filepath.Join(root, v.dir)); err != nil {
			return nil, err
		}
	}
	return v.Tree.ReadFile(name, limit)
}
