package scan_test

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
	"github.com/docker-orphans/docker-orphans/scan/space"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"github.com/docker-orphans/docker-orphans/scan/whose"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

const (
	blobs     = "io.containerd.content.v1.content/blobs/sha256/"
	snapshots = "io.containerd.snapshotter.v1.overlayfs/snapshots/"
)

// stored is what is said of each path below a drawn containerd's root: its account,
// and whose it is.
var stored = map[string][2]string{
	blobs + "i":                              {"images", "index; needed by image app:1"},
	blobs + "m":                              {"images", "manifest; needed by image app:1"},
	blobs + "c":                              {"images", "config; needed by image app:1"},
	blobs + "l":                              {"images", "packed layer 1 of 1 of image app:1"},
	blobs + "b":                              {"build cache", "content; needed by build record xp25yys6oiu6ly8sq22vgeun2"},
	blobs + "n":                              {"not judged", "content; unsure: no image, container or lease in containerd names it"},
	blobs + "o":                              {"not judged", "unsure: nothing is known of it"},
	blobs + "p":                              {"other namespaces", "content; needed by image pause:1 (namespace k8s.io)"},
	snapshots + "1":                          {"images", `layer 1 of 2 of image app:1, created by "COPY a /a"; needed by container web`},
	snapshots + "2/fs/b":                     {"images", `layer 2 of 2 of image app:1, created by "RUN make"; needed by container web`},
	snapshots + "300":                        {"writable layers", "writable layer of container web"},
	blobs + "g":                              {"images", "content; needed by image app:1"},
	blobs + "h":                              {"not judged", "content; needed by image ffffffffffff"},
	snapshots + "4":                          {"not judged", "snapshot ffffffffffff; needed by lease ffffffffffff"},
	snapshots + "7":                          {"not judged", "unsure: nothing is known of it"},
	snapshots + "new-1":                      {"temporary files", "temporary files of containerd"},
	"by-hand":                                {"unknown", "unsure: nothing is known of it"},
	testkit.ContainerdMeta:                   {"records", "database of containerd's metadata"},
	testkit.ContainerdRows:                   {"records", "database of the snapshotter overlayfs"},
	"io.containerd.snapshotter.v1.native":    {"records", "of containerd's own"},
	"io.containerd.runtime.v2.task/moby/run": {"container files", "state of container run"},
	fmt.Sprintf("io.containerd.content.v1.content/ingest/%x", sha256.Sum256([]byte("1-ref"))): {
		"temporary files", "content that is being written, ref",
	},
}

// aContainerd draws a data root and the root of a containerd, below it or apart.
func aContainerd(t *testing.T, below bool) (*testkit.Case, *containerd.Root) {
	t.Helper()
	c, err := testkit.RunApart(t.TempDir(), "overlay2", "image app: base top\ncontainer web app\nonline\n")
	assert.NilError(t, err)
	id, err := c.Expand("{container web}")
	assert.NilError(t, err)
	root := &containerd.Root{Path: t.TempDir()}
	if below {
		root.Below = "containerd/daemon"
		root.Path = filepath.Join(c.Dir, root.Below)
	}
	image, err := c.Expand("{image app}")
	assert.NilError(t, err)
	assert.NilError(t, testkit.Containerd(root.Path, id, image))
	disk, err := tree.Open(root.Path)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = disk.Close() })
	root.Tree, root.Path = disk, disk.Path()
	root.Store, err = containerd.Read(t.Context(), disk)
	assert.NilError(t, err)
	root.Links = root.Store.Links()
	return c, root
}

// Every path below containerd's root is in the account, and is said to be whose, it
// is; the accounts add up to a walk; and nothing of it is an orphan.
func TestContainerd(t *testing.T) {
	for name, below := range map[string]bool{"below the data root": true, "apart": false} {
		t.Run(name, func(t *testing.T) {
			c, root := aContainerd(t, below)
			in := testkit.Input(t, c)
			g, findings := testkit.JudgeInput(t, in, c.Policy)
			all := values(findings)
			for _, f := range all {
				assert.Check(t, f.Verdict != scan.Orphan, "%s", f.ID)
			}
			var ledger *space.Ledger
			var err error
			walked := in.Tree
			if below {
				ledger, err = space.Measure(t.Context(), in, g, all, nil, root, nil)
			} else {
				in.Proc = "/proc"
				ledger, err = space.MeasureContainerd(t.Context(), in, root, nil)
				walked = root.Tree
			}
			assert.NilError(t, err)
			whole, err := walked.Walk(t.Context(), nil, ".")
			assert.NilError(t, err)
			assert.Equal(t, ledger.Bytes, whole.Bytes)
			assert.Equal(t, ledger.Inodes, whole.Inodes)

			x := whose.NewIndex(in, g, all, root)
			for rel, want := range stored {
				at := filepath.Join(root.Path, rel)
				assert.Equal(t, accountOf(t, ledger, filepath.Join(root.Below, rel)), want[0], rel)
				assert.Equal(t, ask(t, x, at).String(), want[1], rel)
			}
			for id, want := range map[string]string{"l": blobs + "l", "top": snapshots + "2", "sha256:base": snapshots + "1"} {
				answers := x.ID(id)
				assert.Assert(t, len(answers) == 1, "%s: %v", id, answers)
				assert.Equal(t, answers[0].Name, want)
			}
			assert.Equal(t, ask(t, x, root.Path).String(), "of containerd's own")
		})
	}
}

// accountOf is the account of the item that a path is in; "records" if none is so
// near.
func accountOf(t *testing.T, l *space.Ledger, name string) string {
	t.Helper()
	for dir := name; dir != "." && dir != "/"; dir = filepath.Dir(dir) {
		for _, i := range l.Items {
			if i.Path == dir || i.Account == space.Namespaces && i.Path == filepath.Dir(dir) && strings.HasSuffix(name, "/p") {
				return string(i.Account)
			}
		}
	}
	return string(space.Records)
}

// Where a database is lost nothing is told to be anybody's, and what is left on disk is
// counted all the same.
func TestContainerdWithoutRecords(t *testing.T) {
	c, root := aContainerd(t, false)
	in := testkit.Input(t, c)
	g, findings := testkit.JudgeInput(t, in, c.Policy)
	in.Proc = "/proc"
	root.Store = &containerd.Store{}
	root.Links = root.Store.Links()
	ledger, err := space.MeasureContainerd(t.Context(), in, root, nil)
	assert.NilError(t, err)
	for _, i := range ledger.Items {
		assert.Check(t, i.Account != space.Images && i.Account != space.WritableLayers && i.Account != space.BuildCache, "%s: %s", i.Path, i.Account)
	}
	x := whose.NewIndex(in, g, values(findings), root)
	for _, rel := range []string{blobs + "l", snapshots + "300"} {
		assert.Assert(t, !ask(t, x, filepath.Join(root.Path, rel)).Known(), rel)
	}
}
