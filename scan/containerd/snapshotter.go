package containerd

import (
	"encoding/binary"
	"errors"

	"go.etcd.io/bbolt"
)

// readRows reads the database of a snapshotter (containerd
// core/snapshots/storage/bolt.go). One without snapshots may be without buckets.
func (s *Snapshotter) readRows(tx *bbolt.Tx) (err error) {
	top := record{tx.Bucket([]byte("v1")), "v1", &err}
	snapshots := top.at("snapshots")
	if err != nil || snapshots.Bucket == nil {
		if keys, _ := tx.Cursor().First(); err == nil && keys != nil && top.Bucket == nil {
			return errors.New("has no bucket v1")
		}
		return err
	}
	s.Sequence = snapshots.Sequence()
	snapshots.each(func(key string, r record) {
		row := Row{
			Key: key, ID: r.uvarint("id"), Parent: r.text("parent"), Size: r.varint("size"), Inodes: r.varint("inodes"), Labels: r.labels(),
		}
		kind := r.value("kind")
		if len(kind) == 1 && kind[0] >= byte(View) && kind[0] <= byte(Committed) {
			row.Kind = Kind(kind[0])
		} else {
			r.fail("kind is unknown")
		}
		if row.ID == 0 {
			r.fail("has no id")
		}
		s.Rows = append(s.Rows, row)
	})
	return err
}

// uvarint is a number without a sign; 0 if there is none.
func (r record) uvarint(key string) uint64 {
	value := r.value(key)
	if len(value) == 0 {
		return 0
	}
	n, size := binary.Uvarint(value)
	if size != len(value) {
		r.fail(key + " is no number")
	}
	return n
}
