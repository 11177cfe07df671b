package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
)

// TestBuildKitDamage changes one bit at a time of databases that a real
// daemon wrote. Whatever was buildNeeds before is buildNeeds still, or a doubt says
// why not: most of it is in two databases or in two places of one.
func TestBuildKitDamage(t *testing.T) {
	root := realRoot(t, "built", builtLayers, builtChains)
	in, intact := inputOf(t, root, backend.Overlay2)
	_, err := BuildKit.Collect(t.Context(), in, intact)
	assert.NilError(t, err)
	damage := func(t *testing.T, name string, data []byte, what string) (doubtful bool) {
		assert.NilError(t, os.WriteFile(filepath.Join(root, name), data, 0o600))
		g := scan.NewGraph()
		_, err := BuildKit.Collect(t.Context(), in, g)
		assert.NilError(t, err)
		if len(g.Doubts) > 0 {
			return true
		}
		for _, kind := range []scan.Kind{scan.KindLayer, scan.KindChain} {
			for _, id := range buildNeeds(intact, kind) {
				assert.Assert(t, slices.Contains(buildNeeds(g, kind), id), "%s: %s is lost", what, id)
			}
		}
		return false
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, name := range []string{buildSnapshots, buildLeases, buildRecords} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(root, name))
			assert.NilError(t, err)
			doubtful := 0
			for range 150 {
				at := rnd.IntN(len(data))
				for data[at] == 0 {
					at = rnd.IntN(len(data))
				}
				damaged := slices.Clone(data)
				damaged[at] ^= 1 << rnd.IntN(8)
				if damage(t, name, damaged, string(data[at:at+20])) {
					doubtful++
				}
			}
			assert.Assert(t, doubtful > 0)
			assert.NilError(t, os.WriteFile(filepath.Join(root, name), data, 0o600))
		})
	}
	t.Run("chain of the last step", func(t *testing.T) {
		data, err := os.ReadFile(filepath.Join(root, buildSnapshots))
		assert.NilError(t, err)
		damaged := bytes.ReplaceAll(data, []byte("sha256:e4ab9"), []byte("sha256:e4ab8"))
		assert.Assert(t, !bytes.Equal(data, damaged))
		assert.Assert(t, damage(t, buildSnapshots, damaged, "chainid"))
	})
}

// FuzzBuildKit fills the databases with whatever the input says, made of the
// names that mean something and some that do not. It must not panic, and a
// layer that a snapshot has must be live.
func FuzzBuildKit(f *testing.F) {
	vocabulary := []string{
		buildA, buildB, buildC, buildChain1, buildChain2, "v1", "_main", "_index", "buildkit", "leases", "snapshots", "default", "parent", "committed",
		"iscommitted", "chainid", "size", "cache.snapshot", `{"value":"` + buildB + `"}`, `{"value":1}`, "", "x", "\x00\xff", "sha256:",
	}
	f.Add([]byte{0, 0, 12, 3, 0, 1, 13, 2})
	f.Add([]byte{2, 6, 0, 17, 18, 1, 5, 8, 9, 0, 10, 11, 1, 20})
	f.Fuzz(func(t *testing.T, ops []byte) {
		root := t.TempDir()
		putDirs(t, root, buildDir, "vfs/dir/"+buildA, "vfs/dir/"+buildB)
		var dbs []*bbolt.DB
		for _, name := range []string{buildSnapshots, buildLeases, buildRecords} {
			db, err := bbolt.Open(filepath.Join(root, name), 0o600, &bbolt.Options{NoSync: true})
			assert.NilError(t, err)
			dbs = append(dbs, db)
		}
		layers := map[string]bool{}
		for len(ops) >= 4 {
			n := min(len(ops), 4+int(ops[1]%5))
			op := ops[:n]
			ops = ops[n:]
			if id := fillFrom(dbs[op[0]%3], vocabulary, op); op[0]%3 == 0 {
				layers[id] = true
			}
		}
		for _, db := range dbs {
			assert.NilError(t, db.Close())
		}
		in, g := inputOf(t, root, backend.VFS)
		_, err := BuildKit.Collect(context.Background(), in, g)
		assert.NilError(t, err)
		for id := range layers {
			if id == buildA || id == buildB {
				assert.Assert(t, slices.Contains(buildNeeds(g, scan.KindLayer), id), "%s", id)
			}
		}
	})
}

// fillFrom puts one value at a path of words, and returns the snapshot that
// it made a layer, or "".
func fillFrom(db *bbolt.DB, vocabulary []string, op []byte) (layer string) {
	var path []string
	for _, b := range op[2:] {
		path = append(path, vocabulary[int(b)%len(vocabulary)])
	}
	value := vocabulary[int(binary.BigEndian.Uint16(op))%len(vocabulary)]
	_ = db.Update(func(tx *bbolt.Tx) error { // what bolt refuses is not there then
		b, err := tx.CreateBucketIfNotExists([]byte(path[0]))
		if err != nil {
			return err
		}
		for _, name := range path[1 : len(path)-1] {
			if b, err = b.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		if err := b.Put([]byte(path[len(path)-1]), []byte(value)); err != nil {
			return err
		}
		if len(path) == 2 && path[1] == "parent" {
			layer = path[0]
		}
		return nil
	})
	return layer
}
