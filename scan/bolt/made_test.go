package bolt

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
)

// A dir is a tree that can only open files. before is called before each
// read of them.
type dir struct {
	scan.Tree
	root   string
	before func(off int64)
}

func (d dir) Open(name string) (scan.ReaderAt, error) {
	f, err := os.Open(filepath.Join(d.root, name))
	if err != nil {
		return nil, err
	}
	return file{f, d.before}, nil
}

type file struct {
	*os.File
	before func(off int64)
}

func (f file) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f file) ReadAt(p []byte, off int64) (int, error) {
	if f.before != nil {
		f.before(off)
	}
	return f.File.ReadAt(p, off)
}

// image is a database that fill made, as the content of a file without the
// room that bbolt leaves at its end.
func image(t testing.TB, options *bbolt.Options, fill func(tx *bbolt.Tx) error) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "made.db")
	db, err := bbolt.Open(name, 0o600, options)
	assert.NilError(t, err)
	assert.NilError(t, db.Update(fill))
	assert.NilError(t, db.Close())
	data, err := os.ReadFile(name)
	assert.NilError(t, err)
	m, err := readMetas(bytes.NewReader(data))
	assert.NilError(t, err)
	return data[:m.bytes()]
}

// buckets fills a database with every shape there is: branch pages, overflow
// pages, buckets in buckets, inline buckets, empty ones.
func buckets(tx *bbolt.Tx) error { return fill(tx, 40) }

// few is the same in small: all but branch pages.
func few(tx *bbolt.Tx) error { return fill(tx, 8) }

func fill(tx *bbolt.Tx, n int) error {
	if _, err := tx.CreateBucket([]byte("empty")); err != nil {
		return err
	}
	for i := range n {
		b, err := tx.CreateBucket(fmt.Appendf(nil, "bucket %d", i))
		if err != nil {
			return err
		}
		for j := range 2 * i {
			if err := b.Put(fmt.Appendf(nil, "key %d", j), bytes.Repeat([]byte{byte(j)}, j)); err != nil {
				return err
			}
		}
		nested, err := b.CreateBucket([]byte("nested"))
		if err != nil {
			return err
		}
		if err := nested.Put([]byte("large"), make([]byte, 300*i)); err != nil {
			return err
		}
	}
	return nil
}

// copyImage copies a database given as a file's content.
func copyImage(t testing.TB, data []byte) (*bbolt.DB, error) {
	t.Helper()
	return Copy(t.Context(), memory{data: data}, "x.db")
}

// A memory is a tree of one file.
type memory struct {
	scan.Tree
	data []byte
}

func (m memory) Open(string) (scan.ReaderAt, error) { return inMemory{bytes.NewReader(m.data)}, nil }

type inMemory struct{ *bytes.Reader }

func (c inMemory) Size() (int64, error) { return c.Reader.Size(), nil }
func (c inMemory) Close() error         { return nil }

// visit reads everything there is, by walking and by looking each key up, and
// returns it as text.
func visit(tx *bbolt.Tx) (string, error) {
	var text bytes.Buffer
	var walk func(b *bbolt.Bucket, path string) error
	walk = func(b *bbolt.Bucket, path string) error {
		return b.ForEach(func(k, v []byte) error {
			if v != nil {
				fmt.Fprintf(&text, "%s/%q=%x\n", path, k, sha256.Sum256(v))
				if !bytes.Equal(b.Get(k), v) {
					return fmt.Errorf("%s: lookup of %q found something else", path, k)
				}
				return nil
			}
			fmt.Fprintf(&text, "%s/%q/\n", path, k)
			if b.Bucket(k) == nil {
				return fmt.Errorf("%s: no bucket %q", path, k)
			}
			return walk(b.Bucket(k), fmt.Sprintf("%s/%q", path, k))
		})
	}
	err := tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return walk(b, fmt.Sprintf("%q", name)) })
	return text.String(), err
}

func content(t testing.TB, db *bbolt.DB) string {
	t.Helper()
	var text string
	err := View(db, func(tx *bbolt.Tx) (err error) {
		text, err = visit(tx)
		return err
	})
	assert.NilError(t, err)
	return text
}
