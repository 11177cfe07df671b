// Package bolt reads the bolt databases of a daemon that may be writing them.
//
// The daemon holds its databases locked as long as it runs, and a copy made
// by reading the file once may mix two transactions. Copy makes one that
// holds exactly one transaction, checks every page of it, and opens that.
// What it returns is a database as it was at one moment: a reader must not
// conclude anything from what was written since.
//
// A damaged file is an error, never a crash: the pages are verified before
// bbolt, which panics on damage and maps the file into memory, sees any.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"go.etcd.io/bbolt"
)

// ErrBusy is the error of a database that changed whenever it was copied.
var ErrBusy = errors.New("changes faster than it can be copied")

// ErrDamaged is the error of a file that is no intact bolt database.
var ErrDamaged = errors.New("damaged database")

const (
	maxSize = 1 << 30 // bytes; the copy may be held in memory

	tries        = 20 // of a database that changes
	damagedTries = 5  // of one that may only look damaged: its meta pages were being written
)

// Copy returns a consistent, checked, read-only copy of the bolt database of
// that name in the tree. The copy takes no space in the data root, and the
// original is neither locked nor written. The caller closes the database,
// which frees the copy, and reads it with [View].
//
// The errors are those of reading the file, [ErrBusy], and [ErrDamaged] for a
// file that bbolt could not rely upon: truncated, of another format, with a
// meta page that does not verify, or with any page that is out of bounds,
// used twice, or neither used nor free.
func Copy(ctx context.Context, tree scan.Tree, name string) (*bbolt.DB, error) {
	db, err := copyOf(ctx, tree, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return db, nil
}

func copyOf(ctx context.Context, tree scan.Tree, name string) (*bbolt.DB, error) {
	src, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = src.Close() }() // it was only read
	f, err := scratchFile()
	if err != nil {
		return nil, err
	}
	m, err := settle(ctx, f, src)
	if err == nil {
		err = verify(ctx, f, m)
	}
	if err != nil {
		_ = f.Close() // the error that matters is err
		return nil, err
	}
	db, err := open(f, m)
	if err != nil {
		_ = f.Close() // bbolt closed it, unless it panicked
		return nil, err
	}
	if err := check(db); err != nil {
		_ = db.Close() // the error that matters is err
		return nil, err
	}
	return db, nil
}

// settle copies src until no transaction was finished meanwhile, and returns
// the one that the copy holds.
func settle(ctx context.Context, dst *os.File, src scan.ReaderAt) (metas, error) {
	damaged := 0
	for try := 1; ; try++ {
		m, err := transfer(ctx, dst, src)
		switch {
		case errors.Is(err, ErrBusy) && try < tries:
			damaged = 0
		case errors.Is(err, ErrDamaged) && damaged < damagedTries && try < tries:
			damaged++
		default:
			return m, err
		}
		if err := pause(ctx, time.Duration(try)*time.Millisecond); err != nil {
			return metas{}, err
		}
	}
}

// transfer copies the pages of the newest transaction of src. Transaction
// T+1 writes only pages that T does not use; those of T are used again from
// T+2 on, which begins when T+1 is finished. So if T is still the newest when
// all is read, every page of T was read as T left it.
func transfer(ctx context.Context, dst *os.File, src scan.ReaderAt) (metas, error) {
	m, err := readMetas(src)
	if err != nil {
		return metas{}, err
	}
	size, err := src.Size()
	if err != nil {
		return metas{}, err
	}
	if m.bytes() > uint64(size) {
		return metas{}, fmt.Errorf("%w: %d bytes long, its pages need %d", ErrDamaged, size, m.bytes())
	}
	if m.bytes() > maxSize {
		return metas{}, fmt.Errorf("%d bytes long, the limit is %d", m.bytes(), maxSize)
	}
	if err := copyBytes(ctx, dst, src, int64(m.bytes())); err != nil {
		return metas{}, err
	}
	again, err := readMetas(src)
	if err != nil {
		return metas{}, err
	}
	if again.newest() != m.newest() {
		return metas{}, ErrBusy
	}
	// What was copied of the meta pages may be of T+1, half written.
	for i, raw := range m.raw {
		if _, err := dst.WriteAt(raw[:], int64(i)*m.newest().pageSize); err != nil {
			return metas{}, err
		}
	}
	return m, nil
}

// copyBytes makes dst the first n bytes of src.
func copyBytes(ctx context.Context, dst *os.File, src io.ReaderAt, n int64) error {
	if err := dst.Truncate(max(n, smallestFile)); err != nil {
		return err
	}
	buf := make([]byte, min(n, 1<<20))
	for off := int64(0); off < n; off += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := buf[:min(n-off, int64(len(buf)))]
		if err := readFull(src, chunk, off); err != nil {
			return err
		}
		if _, err := dst.WriteAt(chunk, off); err != nil {
			return err
		}
	}
	return nil
}

// readFull fills buf from an offset. A file that ends before is damaged.
func readFull(r io.ReaderAt, buf []byte, off int64) error {
	n, err := r.ReadAt(buf, off)
	if n == len(buf) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: ends at byte %d", ErrDamaged, off+int64(n))
	}
	return err
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
