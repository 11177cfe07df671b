package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/bolt"
)

// A root is a containerd's root that is being read.
type root struct {
	tree  scan.Tree
	store *Store
}

// Read reads the root of a containerd, which may be running: databases are copied
// first. The snapshotters are read before the metadata, so that a snapshot that
// the metadata does not know may have been removed, and not be new. The only error
// is a cancelled context.
func Read(ctx context.Context, tree scan.Tree) (*Store, error) {
	r := &root{tree: tree, store: &Store{}}
	entries, err := tree.ReadDir(".")
	if err != nil {
		r.problem(".", err)
	}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name, snapshotDir)
		if ok && e.Type.IsDir() {
			r.store.Snapshotters = append(r.store.Snapshotters, r.snapshotter(ctx, name))
		}
	}
	err = r.database(ctx, MetaDB, func(tx *bbolt.Tx) error {
		s := &Store{}
		if err := s.readMeta(tx); err != nil {
			return err
		}
		r.store.Version, r.store.Namespaces = s.Version, s.Namespaces
		return nil
	})
	if err != nil {
		r.problem(MetaDB, err)
	}
	return r.store, ctx.Err()
}

// snapshotter reads the database of one. One that was never used has none.
func (r *root) snapshotter(ctx context.Context, name string) *Snapshotter {
	s := &Snapshotter{Name: name}
	at := path.Join(snapshotDir+name, snapshotDB)
	err := r.database(ctx, at, func(tx *bbolt.Tx) error { return s.readRows(tx) })
	switch {
	case err == nil:
		s.Read = true
	case !errors.Is(err, fs.ErrNotExist):
		s.Rows = nil
		r.problem(at, err)
	}
	return s
}

// database reads a copy of one. What is read must not keep anything of it.
func (r *root) database(ctx context.Context, name string, read func(*bbolt.Tx) error) error {
	db, err := bolt.Copy(ctx, r.tree, name)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // of a copy that was only read
	return bolt.View(db, read)
}

func (r *root) problem(where string, err error) {
	r.store.Problems = append(r.store.Problems, Problem{Where: where, Err: err})
}

// A record is a bucket of a database, whose values are copied as they are read.
// The first thing that has not the form that it must have is its error.
type record struct {
	*bbolt.Bucket
	where string
	err   *error
}

// at is a record below, or one that is empty.
func (r record) at(names ...string) record {
	for _, name := range names {
		r.where += "/" + name
		if r.Bucket == nil {
			continue
		}
		if r.Get([]byte(name)) != nil {
			r.fail("is no bucket")
		}
		r.Bucket = r.Bucket.Bucket([]byte(name))
	}
	return r
}

// each calls yield for every record below. A value among them has no place there.
func (r record) each(yield func(name string, r record)) {
	if r.Bucket == nil {
		return
	}
	_ = r.ForEach(func(k, v []byte) error { // yield has no errors
		if v != nil {
			r.fail(fmt.Sprintf("%q is no bucket", k))
			return nil
		}
		yield(string(k), r.at(string(k)))
		return nil
	})
}

// text is a value; "" if there is none.
func (r record) text(key string) string { return string(r.value(key)) }

func (r record) value(key string) []byte {
	if r.Bucket == nil {
		return nil
	}
	if r.Bucket.Bucket([]byte(key)) != nil {
		r.fail(key + " is a bucket")
	}
	return r.Get([]byte(key))
}

// labels are a record's.
func (r record) labels() Labels {
	r = r.at("labels")
	if r.Bucket == nil {
		return nil
	}
	labels := Labels{}
	_ = r.ForEach(func(k, v []byte) error { // there is nothing to fail
		labels[string(k)] = string(v)
		return nil
	})
	return labels
}

// keys are the names in a list.
func (r record) keys() []string {
	var names []string
	if r.Bucket != nil {
		_ = r.ForEach(func(k, _ []byte) error { // there is nothing to fail
			names = append(names, string(k))
			return nil
		})
	}
	return names
}

func (r record) fail(why string) {
	if *r.err == nil {
		*r.err = fmt.Errorf("%s: %s", scan.Printable(r.where), why)
	}
}
