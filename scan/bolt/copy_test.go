package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"gotest.tools/v3/assert"
)

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
				assert.ErrorIs(t, db.Update(func(*bbolt.Tx) error { return nil }), berrors.ErrDatabaseReadOnly)
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

// A halfWritten file has meta pages that cannot be read among the others, as
// when the next transaction is writing its own.
type halfWritten struct{ memory }

func (h halfWritten) Open(name string) (scan.ReaderAt, error) {
	f, err := h.memory.Open(name)
	return halfRead{f}, err
}

type halfRead struct{ scan.ReaderAt }

func (h halfRead) ReadAt(p []byte, off int64) (int, error) {
	n, err := h.ReaderAt.ReadAt(p, off)
	if off == 0 && len(p) > metaSize+headerSize {
		clear(p[headerSize+48 : headerSize+metaSize])
		clear(p[4096+headerSize+48 : 4096+headerSize+metaSize])
	}
	return n, err
}

func TestCopyHasTheMetasThatWereVerified(t *testing.T) {
	data := image(t, &bbolt.Options{PageSize: 4096}, few)
	want, err := copyImage(t, data)
	assert.NilError(t, err)
	defer want.Close()
	db, err := Copy(t.Context(), halfWritten{memory{data: data}}, "x.db")
	assert.NilError(t, err)
	defer db.Close()
	assert.Equal(t, content(t, db), content(t, want))
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

// TestUnnamedFile is the way of old kernels, which have no files in memory.
func TestUnnamedFile(t *testing.T) {
	dir := t.TempDir()
	f, err := unnamedFile(dir)
	assert.NilError(t, err)
	left, err := os.ReadDir(dir)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0)

	src := inMemory{bytes.NewReader(image(t, nil, few))}
	m, err := settle(t.Context(), f, src)
	assert.NilError(t, err)
	db, err := open(f, m)
	assert.NilError(t, err)
	assert.NilError(t, check(db))
	assert.NilError(t, db.Close())

	_, err = unnamedFile(filepath.Join(dir, "missing"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
