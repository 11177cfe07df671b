package bolt

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
)

// View reads a database as [bbolt.DB.View] does. A panic or a memory fault
// in bbolt or in fn, which damage can cause that no check sees, is an error.
// What fn gets from the database must not be used after it returns.
func View(db *bbolt.DB, fn func(*bbolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer recovered(&err)
	return db.View(fn)
}

// open opens a copy that was verified. The database owns the file from then
// on; after an error it may or may not be closed.
func open(f *os.File, m metas) (db *bbolt.DB, err error) {
	defer recovered(&err)
	return bbolt.Open(f.Name(), 0, &bbolt.Options{
		ReadOnly: true,
		Timeout:  time.Second, // for the lock of the copy, which nobody else knows of
		PageSize: int(m.newest().pageSize),
		OpenFile: func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	})
}

// check runs bbolt's own check over every page.
func check(db *bbolt.DB) error {
	return View(db, func(tx *bbolt.Tx) error {
		var first error
		for err := range tx.Check() { // to the end: else its goroutine never ends
			if first == nil {
				first = fmt.Errorf("%w: %w", ErrDamaged, err)
			}
		}
		return first
	})
}

// recovered makes an error of a panic.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", ErrDamaged, r)
	}
}
