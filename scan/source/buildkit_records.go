package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"go.etcd.io/bbolt"
)

// A buildSnapshot is one bucket of snapshots.db (moby
// builder/builder-next/adapters/snapshot/snapshot.go). Its name is one of
//
//	<25>           with parent: a layer; with committed: a record of that layer
//	<lease>        with chainid only: written when a lease took a chain, never removed
//	sha256:<chain> a chain of the layer store
type buildSnapshot struct {
	layer     bool   // it has a parent, or was committed: a layer of this name
	parent    string // the key of the snapshot it lies on, "" for none
	committed string // the layer that a record has
	chain     string // the chain that was made of it, or that the lease took
}

// isChainKey reports whether a snapshot's key names a chain.
func isChainKey(key string) bool {
	hex, ok := strings.CutPrefix(key, "sha256:")
	return ok && scan.IsID(hex)
}

// isSnapshotKey reports whether a snapshot's key has a form that is known.
func isSnapshotKey(key string) bool { return scan.IsBuildID(key) || isChainKey(key) }

// readSnapshots reads snapshots.db to the end and returns everything that is
// not as it should be.
func (bk *buildKit) readSnapshots(tx *bbolt.Tx) error {
	bk.snapshots = map[string]buildSnapshot{}
	var odd []error
	err := tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		s, err := readSnapshot(b)
		if err == nil && !isSnapshotKey(string(name)) && (s.layer || s.committed != "") {
			err = errors.New("the name is of no form that is known")
		}
		if err != nil {
			odd = append(odd, fmt.Errorf("snapshot %q: %w", name, err))
		}
		bk.snapshots[string(name)] = s
		return nil
	})
	for _, name := range slices.Sorted(maps.Keys(bk.snapshots)) {
		s := bk.snapshots[name]
		if s.committed != "" && !bk.snapshots[s.committed].layer {
			odd = append(odd, fmt.Errorf("snapshot %q: committed as %q, which is no layer", name, s.committed))
		}
	}
	return errors.Join(err, firstOf(odd))
}

// readSnapshot reads one bucket; what it could read is valid even with an error.
func readSnapshot(b *bbolt.Bucket) (buildSnapshot, error) {
	var s buildSnapshot
	var odd []error
	check := func(key []byte, value string, ok bool) {
		if !ok {
			odd = append(odd, fmt.Errorf("%s %q is of no form that is known", key, value))
		}
	}
	err := b.ForEach(func(k, v []byte) error {
		value := string(v)
		switch string(k) {
		case "parent":
			s.layer, s.parent = true, value
			check(k, value, value == "" || isSnapshotKey(value))
		case "iscommitted":
			s.layer = true
		case "committed":
			s.committed = value
			check(k, value, scan.IsBuildID(value))
		case "chainid":
			s.chain = value
			check(k, value, isChainKey(value))
		case "size":
		default:
			check(k, value, false)
		}
		return nil
	})
	return s, errors.Join(err, firstOf(odd))
}

// readLeases reads containerdmeta.db: v1/<namespace>/leases/<lease>/snapshots/<snapshotter>/<key>
// (containerd metadata/buckets.go).
func (bk *buildKit) readLeases(tx *bbolt.Tx) error {
	bk.leases = map[string][]string{}
	root := tx.Bucket([]byte("v1"))
	if root == nil {
		return emptyBut(tx, "v1")
	}
	var odd []error
	err := root.ForEachBucket(func(namespace []byte) error {
		leases := bucketAt(root, namespace, []byte("leases"))
		if leases == nil {
			return nil
		}
		return leases.ForEachBucket(func(lease []byte) error {
			bk.leases[string(lease)] = nil
			snapshots := bucketAt(leases, lease, []byte("snapshots"))
			if snapshots == nil {
				return nil
			}
			return snapshots.ForEachBucket(func(snapshotter []byte) error {
				return snapshots.Bucket(snapshotter).ForEach(func(key, _ []byte) error {
					if !isSnapshotKey(string(key)) {
						odd = append(odd, fmt.Errorf("lease %q: snapshot %q is of no form that is known", lease, key))
					}
					bk.leases[string(lease)] = append(bk.leases[string(lease)], string(key))
					return nil
				})
			})
		})
	})
	return errors.Join(err, firstOf(odd))
}

// readRecords reads metadata_v2.db or metadata.db: _main/<record>/cache.snapshot
// (buildkit cache/metadata). Without a snapshot of its own a record has that
// of its name.
func (bk *buildKit) readRecords(tx *bbolt.Tx) error {
	root := tx.Bucket([]byte("_main"))
	if root == nil {
		return emptyBut(tx, "_main")
	}
	var odd []error
	err := root.ForEachBucket(func(record []byte) error {
		key, err := snapshotOf(root.Bucket(record))
		if key == "" {
			key = string(record)
		}
		if err == nil && !isSnapshotKey(key) {
			err = fmt.Errorf("snapshot %q is of no form that is known", key)
		}
		if err != nil {
			odd = append(odd, fmt.Errorf("record %q: %w", record, err))
		}
		if keys := bk.records[string(record)]; !slices.Contains(keys, key) {
			bk.records[string(record)] = append(keys, key)
		}
		return nil
	})
	return errors.Join(err, firstOf(odd))
}

// snapshotOf reads a record's own snapshot, "" for none.
func snapshotOf(record *bbolt.Bucket) (string, error) {
	raw := record.Get([]byte("cache.snapshot"))
	if len(raw) == 0 {
		return "", nil // never set, or cleared
	}
	var value struct{ Value string }
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", fmt.Errorf("cache.snapshot: %w", err)
	}
	return value.Value, nil
}

// bucketAt is the bucket of a name within another, or nil.
func bucketAt(b *bbolt.Bucket, names ...[]byte) *bbolt.Bucket {
	for _, name := range names {
		if b = b.Bucket(name); b == nil {
			return nil
		}
	}
	return b
}

// emptyBut is nil for a database that nothing was ever written to. Any other
// has the bucket of that name.
func emptyBut(tx *bbolt.Tx, want string) error {
	return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		return fmt.Errorf("has %q and no %q", name, want)
	})
}

// firstOf is the first of many errors, with how many more there are.
func firstOf(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%w, and %d more", errs[0], len(errs)-1)
}
