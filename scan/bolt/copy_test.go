package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

func TestCopy(t *testing.T) {
	for _, pageSize := range []int{1 << 10, 4 << 10, 64 << 10} {
		for _, unsynced := range []bool{false, true} {
			t.Run(fmt.Sprintf("pages of %d, unsynced freelist %v", pageSize, unsynced), func(t *testing.T) {
				options := &bbolt.Options{PageSize: pageSize, NoFreelistSync: unsynced}
				data := image(t, options, buckets)
				root := t.TempDir()
				assert.NilError(t, os.WriteFile(filepath.Join(root, "x.db"), data, 0o600))
				original, err := bbolt.Open(filepath.Join(root, "x.db"), 0, options)
				assert.NilError(t, err)
				defer original.Close()

				// The original is open for writing, hence locked.
				db, err := Copy(t.Context(), dir{root: root}, "x.db")
				assert.NilError(t, err)
				defer db.Close()
				assert.Equal(t, content(t, db), content(t, original))
				assert.ErrorIs(t, db.Update(func(*bbolt.Tx) error { return nil }), bbolt.ErrDatabaseReadOnly)
				after, err := os.ReadFile(filepath.Join(root, "x.db"))
				assert.NilError(t, err)
				assert.Assert(t, bytes.Equal(after, data), "the original was written")
			})
		}
	}
}

func TestCopyOfAnEmptyDatabase(t *testing.T) {
	db, err := copyImage(t, image(t, nil, func(*bbolt.Tx) error { return nil }))
	assert.NilError(t, err)
	defer db.Close()
	assert.Equal(t, content(t, db), "")
}

func TestCopyFreesAllOnClose(t *testing.T) {
	data := image(t, nil, buckets)
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc")
		}
		return len(entries)
	}
	before := open()
	for range 10 {
		db, err := copyImage(t, data)
		assert.NilError(t, err)
		assert.NilError(t, db.Close())
		_, err = copyImage(t, data[:len(data)/2])
		assert.ErrorIs(t, err, ErrDamaged)
	}
	assert.Equal(t, open(), before)
}

func TestCopyOfAMissingFile(t *testing.T) {
	_, err := Copy(t.Context(), dir{root: t.TempDir()}, "x.db")
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "x.db: ")
}

func TestCopyStopsWithItsContext(t *testing.T) {
	root := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(root, "x.db"), image(t, nil, buckets), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Copy(ctx, dir{root: root}, "x.db")
	assert.ErrorIs(t, err, context.Canceled)
}

func TestCopyOfAFileThatCannotBeRead(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	assert.NilError(t, err)
	defer f.Close()
	_, err = transfer(t.Context(), f, broken{})
	assert.ErrorIs(t, err, errBroken)
	assert.Assert(t, !errors.Is(err, ErrDamaged), "an I/O error says nothing about the file")
}

var errBroken = errors.New("input/output error")

type broken struct{ io.Closer }

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errBroken }
func (broken) Size() (int64, error)              { return 1 << 20, nil }

func TestViewMakesErrorsOfPanicsAndFaults(t *testing.T) {
	db, err := copyImage(t, image(t, nil, buckets))
	assert.NilError(t, err)
	defer db.Close()
	err = View(db, func(*bbolt.Tx) error { panic("page 7 already freed") })
	assert.ErrorIs(t, err, ErrDamaged)
	assert.ErrorContains(t, err, "page 7 already freed")

	// A page that is not there: what bbolt meets when damage was missed.
	path := filepath.Join(t.TempDir(), "cut.db")
	assert.NilError(t, os.WriteFile(path, image(t, nil, buckets), 0o600))
	cut, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true})
	assert.NilError(t, err)
	defer cut.Close()
	assert.NilError(t, os.Truncate(path, 8<<10))
	err = View(cut, func(tx *bbolt.Tx) error {
		_, err := visit(tx)
		return err
	})
	assert.ErrorIs(t, err, ErrDamaged)
	// The transaction of each View ended: the next can begin and Close returns.
	assert.ErrorIs(t, View(cut, func(*bbolt.Tx) error { return io.ErrNoProgress }), io.ErrNoProgress)
}

// TestCopyOfDamagedFiles damages one byte at a time, all over the file. A
// copy that is returned all the same must be readable to the end: verify
// must have seen whatever bbolt would stumble over.
func TestCopyOfDamagedFiles(t *testing.T) {
	data := image(t, &bbolt.Options{PageSize: 1 << 10}, buckets)
	rnd := rand.New(rand.NewPCG(1, 2))
	refused := 0
	const rounds = 300
	for range rounds {
		damaged := bytes.Clone(data)
		// Heads of pages are where damage is dangerous: prefer them.
		at := rnd.IntN(len(data)/1024)*1024 + rnd.IntN(1024)>>rnd.IntN(6)
		damaged[at] ^= byte(1 + rnd.IntN(255))
		db, err := copyImage(t, damaged)
		if err != nil {
			assert.ErrorIs(t, err, ErrDamaged, "byte %d", at)
			refused++
			continue
		}
		content(t, db)
		assert.NilError(t, db.Close())
	}
	assert.Assert(t, refused > rounds/4, "%d of %d", refused, rounds)
}

func TestCopyOfTruncatedFiles(t *testing.T) {
	data := image(t, nil, buckets)
	for _, n := range []int{0, 1, 15, 16, 79, 80, 4095, 4096, 4200, 8191, 8192, 12288, len(data) / 2} {
		_, err := copyImage(t, data[:n])
		assert.ErrorIs(t, err, ErrDamaged, "%d bytes", n)
	}
}
