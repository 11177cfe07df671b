package containerd_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/bolt"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

const (
	snapshotsDB = testkit.ContainerdRows
	cid         = "0445ec545d68933c9e3567c0e9c1581dd7248508a236778280c97bb32960dbd2"
)

// database adds to one from text.
func database(t testing.TB, name, text string) {
	t.Helper()
	assert.NilError(t, testkit.WriteBolt(name, text))
}

// drawn makes a containerd's root.
func drawn(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	assert.NilError(t, testkit.Containerd(root, cid, cid))
	return root
}

func read(t testing.TB, root string) *containerd.Store {
	t.Helper()
	disk, err := tree.Open(root)
	assert.NilError(t, err)
	defer disk.Close()
	store, err := containerd.Read(t.Context(), disk)
	assert.NilError(t, err)
	return store
}

func TestRead(t *testing.T) {
	s := read(t, drawn(t))
	assert.Equal(t, len(s.Problems), 0, "%v", s.Problems)
	assert.Equal(t, s.Version, 4)
	assert.Equal(t, len(s.Namespaces), 2)
	moby := s.Namespaces[1]
	assert.Equal(t, moby.Name, "moby")
	assert.DeepEqual(t, moby.Images, []containerd.Image{{Name: "docker.io/library/app:1", Target: "sha256:i", MediaType: "index"}})
	assert.Equal(t, moby.Content[4].Size, int64(9))
	assert.Equal(t, moby.Content[5].Created, testkit.ContainerdTime)
	assert.DeepEqual(t, moby.Ingests, []containerd.Ingest{{Ref: "ref", Backend: "1-ref", Expected: "sha256:x"}})
	assert.DeepEqual(t, moby.Snapshots[3], containerd.Snapshot{Snapshotter: "overlayfs", Key: "sha256:top", Name: "moby/2/sha256:top", Parent: "sha256:base"})
	assert.DeepEqual(t, moby.Leases[0], containerd.Lease{ID: cid, Snapshots: []containerd.SnapshotKey{{"overlayfs", cid}}})
	assert.DeepEqual(t, moby.Leases[4:], []containerd.Lease{
		{ID: "xp25yys6oiu6ly8sq22vgeun2", Labels: containerd.Labels{"containerd.io/gc.flat": "t"}, Content: []string{"sha256:b"}, Ingests: []string{"ref"}},
	})
	assert.DeepEqual(t, moby.Containers, []containerd.Container{{ID: "run", Image: "app:1", Snapshot: containerd.SnapshotKey{"overlayfs", "sha256:top"}}})
	assert.DeepEqual(t, s.Snapshotters, []*containerd.Snapshotter{
		{Name: "native"},
		{Name: "overlayfs", Sequence: 301, Read: true, Rows: []containerd.Row{
			{Key: "moby/1/sha256:base", ID: 1, Kind: containerd.Committed, Size: 100, Inodes: 3},
			{Key: "moby/2/sha256:top", ID: 2, Kind: containerd.Committed, Parent: "moby/1/sha256:base"},
			{Key: "moby/3/" + cid, ID: 300, Kind: containerd.Active},
			{Key: "moby/4/" + strings.Repeat("f", 64), ID: 4, Kind: containerd.Active},
		}},
	})
}

func TestLinks(t *testing.T) {
	l := read(t, drawn(t)).Links()
	writable, ok := l.Snapshot("overlayfs", 300)
	assert.Assert(t, ok)
	assert.DeepEqual(t, writable, containerd.Key{Namespace: "moby", Sort: containerd.SortSnapshot, Snapshotter: "overlayfs", Name: cid})
	top, ok := l.Parent(writable)
	assert.Assert(t, ok && top.Name == "sha256:top")
	users := map[string]bool{}
	for _, k := range l.Users(top) {
		users[k.Name] = true
	}
	for _, name := range []string{"sha256:c", "sha256:m", "sha256:i", "docker.io/library/app:1", cid, "run"} {
		assert.Check(t, users[name], "%s: %v", name, users)
	}
	assert.Check(t, !users["pause:1"] && !users["sha256:base"], "%v", users)
	needs := l.Needs(containerd.Key{Namespace: "moby", Sort: containerd.SortImage, Name: "docker.io/library/app:1"})
	assert.Equal(t, len(needs), 7, "%v", needs)
	assert.Equal(t, len(l.Blob("sha256:p")), 1)
	lease := l.Lease(containerd.Key{Namespace: "moby", Sort: containerd.SortLease, Name: cid})
	assert.Equal(t, lease.Owner(), containerd.ContainerOwner)
	for _, missing := range []uint64{3, 301} {
		_, ok = l.Snapshot("overlayfs", missing)
		assert.Assert(t, !ok)
	}
}

// What is hurt is told, and what the other database says stays.
func TestDamage(t *testing.T) {
	one := func(line string) func(*testing.T, string) {
		return func(t *testing.T, file string) { database(t, file, line) }
	}
	for name, tc := range map[string]struct {
		file string
		hurt func(t *testing.T, file string)
		says string
	}{
		"truncated":             {containerd.MetaDB, func(t *testing.T, file string) { assert.NilError(t, os.Truncate(file, 9000)) }, "damaged database"},
		"empty":                 {containerd.MetaDB, func(t *testing.T, file string) { assert.NilError(t, os.Truncate(file, 0)) }, "damaged database"},
		"no database":           {containerd.MetaDB, func(t *testing.T, file string) { assert.NilError(t, os.WriteFile(file, make([]byte, 65536), 0o600)) }, "no bolt database"},
		"missing":               {containerd.MetaDB, func(t *testing.T, file string) { assert.NilError(t, os.Remove(file)) }, "no such file"},
		"of a version to come":  {containerd.MetaDB, one("v1/version=#5"), "version 5 is unknown"},
		"of a form to come":     {containerd.MetaDB, replaced("v2/version=#1"), "has no bucket v1"},
		"an image that is none": {containerd.MetaDB, one("v1/moby/images/x=y"), "is no bucket"},
		"a target that is none": {containerd.MetaDB, one("v1/moby/images/x/target=y"), "target: is no bucket"},
		"a digest of many":      {containerd.MetaDB, one("v1/moby/images/x/target/digest/y=z"), "digest is a bucket"},
		"a size that is none":   {containerd.MetaDB, one("v1/moby/content/blob/x/size=\xff\xff"), "size is no number"},
		"a time that is none":   {containerd.MetaDB, one("v1/moby/content/blob/x/createdat=x"), "createdat is no time"},
		"rows truncated":        {snapshotsDB, func(t *testing.T, file string) { assert.NilError(t, os.Truncate(file, 9000)) }, "damaged database"},
		"rows of a form":        {snapshotsDB, replaced("v2/snapshots/a/b/c/id=%1"), "has no bucket v1"},
		"a kind to come":        {snapshotsDB, one("v1/snapshots/a/b/c/kind=!4"), "kind is unknown"},
		"a row without id":      {snapshotsDB, one("v1/snapshots/a/b/c/kind=!1"), "has no id"},
		"an id that is none":    {snapshotsDB, one("v1/snapshots/moby/1/sha256:base/id=\xff\xff"), "id is no number"},
	} {
		t.Run(name, func(t *testing.T) {
			root := drawn(t)
			tc.hurt(t, filepath.Join(root, tc.file))
			s := read(t, root)
			assert.Equal(t, len(s.Problems), 1, "%v", s.Problems)
			assert.Equal(t, s.Problems[0].Where, tc.file)
			assert.ErrorContains(t, s.Problems[0].Err, tc.says)
			if tc.file == snapshotsDB {
				assert.Equal(t, len(s.Namespaces), 2)
				assert.Assert(t, len(s.Snapshotters[1].Rows) == 0 && !s.Snapshotters[1].Read)
			} else {
				assert.Equal(t, len(s.Namespaces), 0)
				assert.Equal(t, len(s.Snapshotters[1].Rows), 4)
			}
		})
	}
}

func replaced(text string) func(*testing.T, string) {
	return func(t *testing.T, file string) {
		assert.NilError(t, os.Remove(file))
		database(t, file, text)
	}
}

// A database that another process has locked, and goes on to write, is read.
func TestLocked(t *testing.T) {
	root := drawn(t)
	db, err := bbolt.Open(filepath.Join(root, containerd.MetaDB), 0o600, nil)
	assert.NilError(t, err)
	defer db.Close()
	assert.Equal(t, len(read(t, root).Problems), 0)
}

func TestPlaceOf(t *testing.T) {
	const sn, content = "io.containerd.snapshotter.v1.", "io.containerd.content.v1.content"
	for rel, want := range map[string]containerd.Place{
		".":                               {What: containerd.Structure, Path: "."},
		containerd.MetaDB:                 {What: containerd.Database, Path: "io.containerd.metadata.v1.bolt"},
		content + "/blobs/sha256":         {What: containerd.Structure, Path: content + "/blobs/sha256"},
		content + "/blobs/sha256/ab":      {What: containerd.BlobFile, Path: content + "/blobs/sha256/ab", Digest: "sha256:ab"},
		content + "/ingest/ab/data":       {What: containerd.IngestDir, Path: content + "/ingest/ab", Name: "ab"},
		content + "/other/x":              {What: containerd.Unknown, Path: content + "/other/x"},
		snapshotsDB:                       {What: containerd.Database, Path: snapshotsDB, Snapshotter: "overlayfs"},
		sn + "overlayfs/snapshots":        {What: containerd.Structure, Path: sn + "overlayfs/snapshots", Snapshotter: "overlayfs"},
		sn + "overlayfs/snapshots/7/fs/x": {What: containerd.SnapshotDir, Path: sn + "overlayfs/snapshots/7", Snapshotter: "overlayfs", ID: 7},
		sn + "overlayfs/snapshots/07":     {What: containerd.Unknown, Path: sn + "overlayfs/snapshots/07", Snapshotter: "overlayfs"},
		sn + "overlayfs/snapshots/new-1":  {What: containerd.Temporary, Path: sn + "overlayfs/snapshots/new-1", Snapshotter: "overlayfs"},
		sn + "btrfs/active/7":             {What: containerd.SnapshotDir, Path: sn + "btrfs/active/7", Snapshotter: "btrfs", ID: 7},
		sn + "overlayfs/by-hand/x":        {What: containerd.Unknown, Path: sn + "overlayfs/by-hand", Snapshotter: "overlayfs"},
		"io.containerd.runtime.v2.task/moby/c/x": {
			What: containerd.Runtime, Path: "io.containerd.runtime.v2.task/moby/c", Namespace: "moby", Name: "c",
		},
		"tmpmounts/x": {What: containerd.Temporary, Path: "tmpmounts"},
		"by-hand/x":   {What: containerd.Unknown, Path: "by-hand"},
		"io.containerd.grpc.v1.introspection/uuid": {What: containerd.Structure, Path: "io.containerd.grpc.v1.introspection/uuid"},
	} {
		assert.DeepEqual(t, containerd.PlaceOf(rel), want)
	}
}

// FuzzRead reads databases of any content: it says what is wrong, and what it
// could not read is empty.
func FuzzRead(f *testing.F) {
	f.Add("v1/version=#4\nv1/moby/images/x/target/digest=sha256:x\nv1/moby/leases/x/labels/y=z", "v1/snapshots/moby/1/x/id=%1\nv1/snapshots/moby/1/x/kind=!3")
	f.Add("v1/moby/leases=x", "v1/snapshots/x=y")
	f.Fuzz(func(t *testing.T, meta, rows string) {
		root := t.TempDir()
		database(t, filepath.Join(root, containerd.MetaDB), meta)
		database(t, filepath.Join(root, snapshotsDB), rows)
		s := read(t, root)
		links := s.Links()
		for _, p := range s.Problems {
			assert.Assert(t, !errors.Is(p.Err, bolt.ErrDamaged), "%v", p.Err)
			assert.Assert(t, p.Where != containerd.MetaDB || len(s.Namespaces) == 0)
		}
		for _, n := range s.Namespaces {
			for _, i := range n.Images {
				links.Needs(containerd.Key{Namespace: n.Name, Sort: containerd.SortImage, Name: i.Name})
			}
		}
	})
}
