package source

import (
	"context"
	"errors"
	"io/fs"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/bolt"
	"go.etcd.io/bbolt"
)

// volumeRows is the daemon's database of volumes, with the options that they
// were created with: also those of drivers that keep no file of their own (moby
// volume/service/db.go, 1.11 on).
const volumeRows = volumesDir + "/metadata.db"

// rows reads which paths the options of volumes name, and makes sure that the
// database is the one that the daemon has open. Only a cancelled context is an
// error.
func (v *volumes) rows(ctx context.Context) error {
	if _, err := v.in.Tree.Stat(volumeRows); errors.Is(err, fs.ErrNotExist) {
		if v.in.Info.Since(1, 12) {
			v.doubtAll(volumeRows, errors.New("is missing"))
		}
		return nil
	}
	db, err := v.in.Bolt(ctx, volumeRows)
	if err == nil {
		err = bolt.View(db, v.readRows)
		_ = db.Close() // of a copy that was only read
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		v.doubtAll(volumeRows, err)
		return nil
	}
	compareOpen(v.in, []string{volumeRows}, v.in.Info.Since(1, 12), func(where string, err error, hint string) {
		v.g.Doubt(scan.Doubt{Source: scan.SourceVolumes, Where: where, Err: said(err, where), Hint: hint})
	})
	return nil
}

func (v *volumes) readRows(tx *bbolt.Tx) error {
	rows := tx.Bucket([]byte("volumes"))
	if rows == nil {
		return errors.New("has no bucket volumes")
	}
	return rows.ForEach(func(name, row []byte) error {
		return eachPath(v.in, row, func(to scan.Node) { v.use(string(name), to, scan.ByPath, volumeRows) })
	})
}
