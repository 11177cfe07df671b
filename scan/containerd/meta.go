package containerd

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// The forms of the metadata database that are known: 3 of containerd 1.2 to 1.7, 4 of
// 2.0 on (core/metadata/db.go). What differs between them is not read here.
var forms = []int{3, 4}

// readMeta reads the metadata database (containerd core/metadata/buckets.go).
func (s *Store) readMeta(tx *bbolt.Tx) (err error) {
	top := record{tx.Bucket([]byte("v1")), "v1", &err}
	if top.Bucket == nil {
		return fmt.Errorf("has no bucket v1")
	}
	s.Version = int(top.varint("version"))
	if err == nil && !slices.Contains(forms, s.Version) {
		return fmt.Errorf("version %d is unknown", s.Version)
	}
	_ = top.ForEach(func(k, v []byte) error { // namespace has no errors
		if v == nil {
			s.Namespaces = append(s.Namespaces, namespace(string(k), top.at(string(k))))
		}
		return nil
	})
	return err
}

// namespace reads the records of one. bbolt lists keys in their order.
func namespace(name string, r record) *Namespace {
	n := &Namespace{Name: name}
	r.at("images").each(func(name string, r record) {
		target := r.at("target")
		n.Images = append(n.Images, Image{
			Name: name, Target: target.text("digest"), MediaType: target.text("mediatype"), Labels: r.labels(), Created: r.created(),
		})
	})
	r.at("content", "blob").each(func(digest string, r record) {
		n.Content = append(n.Content, Blob{Digest: digest, Size: r.varint("size"), Labels: r.labels(), Created: r.created()})
	})
	r.at("content", "ingests").each(func(ref string, r record) {
		n.Ingests = append(n.Ingests, Ingest{Ref: ref, Backend: r.text("ref"), Expected: r.text("expected")})
	})
	r.at("snapshots").each(func(snapshotter string, r record) {
		r.each(func(key string, r record) {
			n.Snapshots = append(n.Snapshots, Snapshot{
				Snapshotter: snapshotter, Key: key, Name: r.text("name"), Parent: r.text("parent"), Labels: r.labels(), Created: r.created(),
			})
		})
	})
	r.at("leases").each(func(id string, r record) { n.Leases = append(n.Leases, lease(id, r)) })
	r.at("containers").each(func(id string, r record) {
		n.Containers = append(n.Containers, Container{
			ID: id, Image: r.text("image"), Snapshot: SnapshotKey{r.text("snapshotter"), r.text("snapshotKey")}, Labels: r.labels(),
		})
	})
	return n
}

// lease reads one.
func lease(id string, r record) Lease {
	l := Lease{
		ID: id, Labels: r.labels(), Created: r.created(),
		Content: r.at("content").keys(), Ingests: r.at("ingests").keys(), Images: r.at("images").keys(),
	}
	r.at("snapshots").each(func(snapshotter string, r record) {
		for _, key := range r.keys() {
			l.Snapshots = append(l.Snapshots, SnapshotKey{snapshotter, key})
		}
	})
	return l
}

// varint is a number; 0 if there is none.
func (r record) varint(key string) int64 {
	value := r.value(key)
	if len(value) == 0 {
		return 0
	}
	n, size := binary.Varint(value)
	if size != len(value) {
		r.fail(key + " is no number")
	}
	return n
}

// created is when a record was made; zero if it does not tell.
func (r record) created() time.Time {
	var t time.Time
	if value := r.value("createdat"); len(value) > 0 && t.UnmarshalBinary(value) != nil {
		r.fail("createdat is no time")
	}
	return t.UTC()
}
