package source

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
)

// A dbContent is what a database is filled with: buckets, given with a slash at
// the end, and values, by their paths.
type dbContent map[string]string

func (c dbContent) write(t testing.TB, file string) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{NoSync: true, PageSize: 4096})
	assert.NilError(t, err)
	defer db.Close()
	assert.NilError(t, db.Update(func(tx *bbolt.Tx) error {
		for name, value := range c {
			parts := strings.Split(name, "/")
			b, err := tx.CreateBucketIfNotExists([]byte(parts[0]))
			for _, part := range parts[1 : len(parts)-1] {
				if err == nil {
					b, err = b.CreateBucketIfNotExists([]byte(part))
				}
			}
			if last := parts[len(parts)-1]; err == nil && last != "" {
				err = b.Put([]byte(last), []byte(value))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

var (
	buildA, buildB, buildC = strings.Repeat("a", 25), strings.Repeat("b", 25), strings.Repeat("c", 25)
	buildChain1            = "sha256:" + strings.Repeat("1", 64)
	buildChain2            = "sha256:" + strings.Repeat("2", 64)
)

func TestBuildKitForms(t *testing.T) {
	lease := "v1/buildkit/leases/" + buildA + "/snapshots/default/"
	tests := []struct {
		name                       string
		snapshots, leases, records dbContent
		need                       string // layers and chains that are live
		doubt                      string
	}{
		{name: "nothing"},
		{name: "a layer", snapshots: dbContent{buildA + "/parent": ""}, need: buildA},
		{name: "a layer on a chain", snapshots: dbContent{buildA + "/parent": buildChain1}, need: buildA + " " + buildChain1},
		{name: "a layer on a record", snapshots: dbContent{
			buildA + "/parent": buildB, buildB + "/committed": buildC, buildC + "/parent": "", buildC + "/iscommitted": "",
		}, need: buildA + " " + buildC},
		{name: "a layer on a record that was lost", snapshots: dbContent{buildA + "/parent": buildB}, need: buildA + " " + buildB},
		{name: "committed, no parent", snapshots: dbContent{buildA + "/iscommitted": ""}, need: buildA},
		{name: "a chain", snapshots: dbContent{buildChain1 + "/": ""}, need: buildChain1},
		{name: "a stale lease", snapshots: dbContent{buildA + "/chainid": buildChain1}},
		{name: "a lease of a chain", snapshots: dbContent{buildA + "/chainid": buildChain1}, leases: dbContent{"v1/buildkit/leases/" + buildA + "/": ""}, need: buildChain1},
		{name: "a record of a chain", snapshots: dbContent{buildA + "/chainid": buildChain1}, records: dbContent{"_main/" + buildA + "/x": ""}, need: buildChain1 + " " + buildA},
		{name: "a lease", leases: dbContent{lease + buildB: "", lease + buildChain1: ""}, need: buildB + " " + buildChain1},
		{name: "a lease of another form", leases: dbContent{"v1/ns/leases/1732-x/snapshots/default/" + buildB: ""}, need: buildB},
		{name: "a lease without snapshots", leases: dbContent{"v1/buildkit/leases/" + buildA + "/": "", "v1/buildkit/content/": ""}},
		{name: "a lease of a record", snapshots: dbContent{buildB + "/committed": buildC, buildC + "/parent": ""}, leases: dbContent{lease + buildB: ""}, need: buildC},
		{name: "a record", records: dbContent{"_main/" + buildA + "/x": ""}, need: buildA},
		{name: "a record with its snapshot", records: dbContent{"_main/" + buildA + "/cache.snapshot": `{"value":"` + buildB + `","index":""}`}, need: buildB},
		{name: "a record of a chain by name", records: dbContent{"_main/" + buildA + "/cache.snapshot": `{"value":"` + buildChain1 + `"}`}, need: buildChain1},
		{name: "a record with its snapshot cleared", records: dbContent{"_main/" + buildA + "/cache.snapshot": ""}, need: buildA},

		{name: "snapshot of another form", snapshots: dbContent{"UPPER/parent": ""}, doubt: `snapshots.db: snapshot "UPPER": the name`},
		{name: "parent of another form", snapshots: dbContent{buildA + "/parent": "x"}, need: buildA, doubt: `parent "x" is of no form`},
		{name: "committed of another form", snapshots: dbContent{buildA + "/committed": "x"}, doubt: `committed "x" is of no form`},
		{name: "chain of another form", snapshots: dbContent{buildA + "/chainid": "sha512:x"}, doubt: `chainid "sha512:x" is of no form`},
		{name: "another attribute", snapshots: dbContent{buildA + "/parent": "", buildA + "/parenu": ""}, need: buildA, doubt: `parenu "" is of no form`},
		{name: "a bucket in a snapshot", snapshots: dbContent{buildA + "/sub/": ""}, doubt: `sub "" is of no form`},
		{name: "committed as nothing", snapshots: dbContent{buildA + "/committed": buildB}, need: buildB, doubt: "which is no layer"},
		{name: "chain that is not registered", snapshots: dbContent{
			buildA + "/committed": buildB, buildB + "/parent": "", buildA + "/chainid": "sha256:" + strayChain,
		}, need: buildB, doubt: "is not registered"},
		{name: "lease's snapshot of another form", leases: dbContent{lease + "x": "", lease + buildB: ""}, need: buildB, doubt: `containerdmeta.db: lease "` + buildA + `": snapshot "x"`},
		{name: "no leases at all", leases: dbContent{"v2/": ""}, doubt: `has "v2" and no "v1"`},
		{name: "no records at all", records: dbContent{"_index/": ""}, doubt: `has "_index" and no "_main"`},
		{name: "record that does not parse", records: dbContent{"_main/" + buildA + "/cache.snapshot": "{"}, need: buildA, doubt: "cache.snapshot: unexpected end"},
		{name: "record's snapshot of another form", records: dbContent{"_main/" + buildA + "/cache.snapshot": `{"value":"x"}`}, doubt: `snapshot "x" is of no form`},
		{name: "more than one thing", snapshots: dbContent{buildA + "/parent": "x", buildB + "/parent": "y"}, need: buildA + " " + buildB, doubt: ", and 1 more"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in, g := inputOf(t, buildRoot(t, test.snapshots, test.leases, test.records), backend.VFS)
			_, err := BuildKit.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			said := buildDoubts(t, g)
			assert.Equal(t, said != "", test.doubt != "", said)
			assert.Assert(t, strings.Contains(said, test.doubt), said)
			need := sortedWords(strings.ReplaceAll(test.need, "sha256:", ""))
			assert.Equal(t, sortedWords(strings.Join(append(buildNeeds(g, scan.KindLayer), buildNeeds(g, scan.KindChain)...), " ")), need)
		})
	}
}

// buildRoot is a data root with these databases, and with each layer and
// chain that they may name.
func buildRoot(t testing.TB, snapshots, leases, records dbContent) string {
	t.Helper()
	root := t.TempDir()
	for _, id := range []string{buildA, buildB, buildC} {
		putDirs(t, root, "vfs/dir/"+id)
	}
	for _, chain := range []string{buildChain1, buildChain2} {
		putDirs(t, root, scan.ChainNode("vfs", chain).Name)
	}
	snapshots.write(t, filepath.Join(root, buildSnapshots))
	leases.write(t, filepath.Join(root, buildLeases))
	records.write(t, filepath.Join(root, buildRecords))
	return root
}

// TestBuildKitLayerMadeSince names a layer that was made after the layers
// were listed: it must be found on disk. A record of one that is nowhere is
// not a reference that leads nowhere.
func TestBuildKitLayerMadeSince(t *testing.T) {
	root := realRoot(t, "built", "", "")
	in, g := inputOf(t, root, backend.Overlay2, backend.VFS)
	putDirs(t, root, "overlay2/amx5shigq4755bvv68wsxnygk")
	_, err := BuildKit.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.DeepEqual(t, buildNeeds(g, scan.KindLayer), []string{"amx5shigq4755bvv68wsxnygk"})
	assert.DeepEqual(t, buildNeeds(g, scan.KindChain), []string(nil))

	in.Tree = brokenTree{in.Tree, "overlay2/3844nunzm8ufz8g02k4x2s3yx", fs.ErrPermission}
	_, err = BuildKit.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.Assert(t, slices.Contains(buildNeeds(g, scan.KindLayer), "3844nunzm8ufz8g02k4x2s3yx"), "what cannot be told counts as there")
}

// After a downgrade to an engine before 20.10 the older database of records is in
// use again; both are read where it is not known that the newer one is.
func TestBuildKitAfterADowngrade(t *testing.T) {
	record := func(chain string) dbContent {
		return dbContent{"_main/" + buildA + "/cache.snapshot": `{"value":"` + chain + `"}`}
	}
	for version, want := range map[string][]string{"": {buildChain1, buildChain2}, "19.03.15": {buildChain1, buildChain2}, "20.10.24": {buildChain2}} {
		root := buildRoot(t, nil, nil, record(buildChain2))
		record(buildChain1).write(t, filepath.Join(root, buildRecordsV1))
		in, g := inputOf(t, root, backend.VFS)
		in.Info.Version = version
		_, err := BuildKit.Collect(t.Context(), in, g)
		assert.NilError(t, err)
		assert.Equal(t, sortedWords(strings.Join(buildNeeds(g, scan.KindChain), " ")), strings.ReplaceAll(strings.Join(want, " "), "sha256:", ""), version)
	}
}
