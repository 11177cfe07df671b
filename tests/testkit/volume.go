package testkit

import (
	"encoding/json"
	"strconv"

	"go.etcd.io/bbolt"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Volume makes a volume as the local driver does, with the row that the daemon
// has of it: the given one, or that of a volume without options and labels.
func (r *Root) Volume(name, row string) error {
	if row == "" {
		row = `{"Name":` + strconv.Quote(name) + `,"Driver":"local","Labels":null,"Options":null}`
	}
	if err := r.write("volumes/"+name+"/_data/file", name); err != nil {
		return err
	}
	var record scan.DaemonVolume
	if err := json.Unmarshal([]byte(row), &record); err == nil {
		record.Name, record.Scope, record.Mountpoint = name, "local", r.path("volumes/"+name+"/_data")
		r.volumes = append(r.volumes, record)
	}
	db, err := bbolt.Open(r.path("volumes/metadata.db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		table, err := tx.CreateBucketIfNotExists([]byte("volumes"))
		if err != nil {
			return err
		}
		return table.Put([]byte(name), []byte(row))
	})
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	return err
}
