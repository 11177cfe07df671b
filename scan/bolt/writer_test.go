package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
)

// A ledger is a database whose every transaction keeps an invariant: each
// account of one bucket has its counterpart in the other, which may be pages
// away, and both have the number of the transaction that the total has.
type ledger struct {
	*bbolt.DB
	root  string
	count uint64
	rnd   *rand.Rand
}

func openLedger(t testing.TB, options *bbolt.Options) *ledger {
	t.Helper()
	root := t.TempDir()
	db, err := bbolt.Open(filepath.Join(root, "x.db"), 0o600, options)
	assert.NilError(t, err)
	t.Cleanup(func() { db.Close() })
	l := &ledger{DB: db, root: root, rnd: rand.New(rand.NewPCG(3, 4))}
	assert.NilError(t, l.write())
	return l
}

// write finishes one transaction that frees pages and takes others.
func (l *ledger) write() error {
	l.count++
	value := binary.BigEndian.AppendUint64(nil, l.count)
	account := fmt.Appendf(nil, "account %d", l.rnd.IntN(300))
	pad := make([]byte, l.rnd.IntN(6000))
	return l.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{"debit", "total", "credit"} {
			b, err := tx.CreateBucketIfNotExists([]byte(name))
			if err != nil {
				return err
			}
			key := account
			if name == "total" {
				key = []byte("count")
			}
			if err := b.Put(key, append(value, pad...)); err != nil {
				return err
			}
		}
		return nil
	})
}

// audit returns the number of the transaction that a copy holds, or an error
// if the copy does not hold exactly one.
func audit(db *bbolt.DB) (count uint64, err error) {
	err = View(db, func(tx *bbolt.Tx) error {
		total := tx.Bucket([]byte("total")).Get([]byte("count"))
		count = binary.BigEndian.Uint64(total)
		newest := uint64(0)
		credit := tx.Bucket([]byte("credit"))
		err := tx.Bucket([]byte("debit")).ForEach(func(k, v []byte) error {
			if string(credit.Get(k)) != string(v) {
				return fmt.Errorf("%s: debit and credit differ", k)
			}
			newest = max(newest, binary.BigEndian.Uint64(v))
			return nil
		})
		if err == nil && newest != count {
			err = fmt.Errorf("transaction %d, accounts of %d", count, newest)
		}
		return err
	})
	return count, err
}

func TestCopyWhileTheOwnerWrites(t *testing.T) {
	l := openLedger(t, nil)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := l.write(); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	seen := map[uint64]bool{}
	busy := 0
	for len(seen) < 100 && busy < 100 {
		db, err := Copy(t.Context(), dir{root: l.root}, "x.db")
		if errors.Is(err, ErrBusy) {
			busy++
			continue
		}
		assert.NilError(t, err)
		count, err := audit(db)
		assert.NilError(t, err)
		seen[count] = true
		assert.NilError(t, db.Close())
	}
	close(stop)
	writer.Wait()
	t.Logf("%d different transactions copied of %d, busy %d times", len(seen), l.count, busy)
	assert.Assert(t, len(seen) == 100, "busy %d times", busy)
}

// TestCopyStartsAgain writes between the reads of one copy, which is what
// makes a file that was copied once worthless.
func TestCopyStartsAgain(t *testing.T) {
	l := openLedger(t, nil)
	for range 50 {
		assert.NilError(t, l.write())
	}
	reads, starts := 0, 0
	tree := dir{root: l.root, before: func(off int64) {
		reads++
		if off == 0 {
			starts++
		}
		if reads == 4 { // both metas, then the pages: here after the first copy
			for range 3 {
				assert.NilError(t, l.write())
			}
		}
	}}
	db, err := Copy(t.Context(), tree, "x.db")
	assert.NilError(t, err)
	defer db.Close()
	count, err := audit(db)
	assert.NilError(t, err)
	assert.Equal(t, count, l.count, "the copy holds what was written meanwhile")
	// Each try reads the meta at 0 three times: before, as part of the pages, after.
	assert.Assert(t, starts > 3, "%d reads at 0", starts)
}

// TestASingleCopyWouldBeTorn shows what the protocol is for: the same
// interleaving without it gives a file that is not one transaction.
func TestASingleCopyWouldBeTorn(t *testing.T) {
	l := openLedger(t, nil)
	for range 50 {
		assert.NilError(t, l.write())
	}
	src, err := os.Open(filepath.Join(l.root, "x.db"))
	assert.NilError(t, err)
	defer src.Close()
	info, err := src.Stat()
	assert.NilError(t, err)
	torn := make([]byte, info.Size())
	half := len(torn) / 2 &^ 4095
	_, err = src.ReadAt(torn[:half], 0)
	assert.NilError(t, err)
	for range 20 {
		assert.NilError(t, l.write())
	}
	_, err = src.ReadAt(torn[half:], int64(half))
	assert.NilError(t, err)

	_, err = copyImage(t, torn)
	assert.ErrorIs(t, err, ErrDamaged)
}

func TestCopyGivesUpOnADatabaseThatAlwaysChanges(t *testing.T) {
	l := openLedger(t, &bbolt.Options{NoSync: true})
	tree := dir{root: l.root, before: func(int64) { assert.NilError(t, l.write()) }}
	_, err := Copy(t.Context(), tree, "x.db")
	assert.ErrorIs(t, err, ErrBusy)
}
