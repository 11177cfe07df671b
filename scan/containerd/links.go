package containerd

import (
	"slices"
	"strings"
)

// Sort says what a record is of.
type Sort uint8

// The sorts.
const (
	SortBlob Sort = iota + 1
	SortSnapshot
	SortImage
	SortLease
	SortContainer
)

// A Key names a record. Name is a digest, a snapshot's key, an image's name, or the
// id of a lease or a container.
type Key struct {
	Namespace   string
	Sort        Sort
	Snapshotter string // of snapshots
	Name        string
}

// Links is what keeps what: the edges by which containerd's own collector walks
// (core/metadata/gc.go), both ways.
type Links struct {
	to, from map[Key][]Key
	blobs    map[string][]Key       // by digest
	names    map[SnapshotKey]Key    // snapshots, by the key that the snapshotter has
	rows     map[rowKey]string      // the snapshotter's key, by the directory's number
	ids      map[SnapshotKey]uint64 // the number, by the snapshotter's key
	backend  map[Key]string         // the snapshotter's key of a snapshot
	leases   map[Key]*Lease
}

type rowKey struct {
	snapshotter string
	id          uint64
}

// Links connects the records of a store.
func (s *Store) Links() *Links {
	l := &Links{
		to: map[Key][]Key{}, from: map[Key][]Key{}, blobs: map[string][]Key{}, names: map[SnapshotKey]Key{},
		rows: map[rowKey]string{}, leases: map[Key]*Lease{}, ids: map[SnapshotKey]uint64{}, backend: map[Key]string{},
	}
	for _, n := range s.Namespaces {
		l.namespace(n)
	}
	for _, sn := range s.Snapshotters {
		for _, row := range sn.Rows {
			l.rows[rowKey{sn.Name, row.ID}] = row.Key
			l.ids[SnapshotKey{sn.Name, row.Key}] = row.ID
		}
	}
	return l
}

func (l *Links) namespace(n *Namespace) {
	for _, b := range n.Content {
		key := Key{n.Name, SortBlob, "", b.Digest}
		l.blobs[b.Digest] = append(l.blobs[b.Digest], key)
		l.labels(key, b.Labels)
	}
	for _, sn := range n.Snapshots {
		key := Key{n.Name, SortSnapshot, sn.Snapshotter, sn.Key}
		l.names[SnapshotKey{sn.Snapshotter, sn.Name}] = key
		l.backend[key] = sn.Name
		if sn.Parent != "" {
			l.link(key, Key{n.Name, SortSnapshot, sn.Snapshotter, sn.Parent})
		}
		l.labels(key, sn.Labels)
	}
	for _, i := range n.Images {
		key := Key{n.Name, SortImage, "", i.Name}
		l.link(key, Key{n.Name, SortBlob, "", i.Target})
		l.labels(key, i.Labels)
	}
	for i := range n.Leases {
		l.lease(n.Name, &n.Leases[i])
	}
	for _, c := range n.Containers {
		key := Key{n.Name, SortContainer, "", c.ID}
		if c.Snapshot.Key != "" {
			l.link(key, Key{n.Name, SortSnapshot, c.Snapshot.Snapshotter, c.Snapshot.Key})
		}
		l.labels(key, c.Labels)
	}
}

func (l *Links) lease(namespace string, lease *Lease) {
	key := Key{namespace, SortLease, "", lease.ID}
	l.leases[key] = lease
	for _, digest := range lease.Content {
		l.link(key, Key{namespace, SortBlob, "", digest})
	}
	for _, sn := range lease.Snapshots {
		l.link(key, Key{namespace, SortSnapshot, sn.Snapshotter, sn.Key})
	}
	for _, name := range lease.Images {
		l.link(key, Key{namespace, SortImage, "", name})
	}
}

const (
	refContent  = "containerd.io/gc.ref.content"
	refSnapshot = "containerd.io/gc.ref.snapshot."
)

// labels links a record to what its labels keep. What is behind the label's
// name, after a dot or a slash, only tells several of a kind apart.
func (l *Links) labels(from Key, labels Labels) {
	for name, value := range labels {
		if rest, ok := strings.CutPrefix(name, refContent); ok && (rest == "" || rest[0] == '.' || rest[0] == '/') {
			l.link(from, Key{from.Namespace, SortBlob, "", value})
		} else if rest, ok := strings.CutPrefix(name, refSnapshot); ok {
			snapshotter, _, _ := strings.Cut(rest, "/")
			l.link(from, Key{from.Namespace, SortSnapshot, snapshotter, value})
		}
	}
}

func (l *Links) link(from, to Key) {
	if from != to {
		l.to[from] = append(l.to[from], to)
		l.from[to] = append(l.from[to], from)
	}
}

// Needs lists what a record keeps, itself first, at whatever distance.
func (l *Links) Needs(keys ...Key) []Key { return reach(l.to, keys) }

// Users lists what keeps a record, itself first, at whatever distance.
func (l *Links) Users(keys ...Key) []Key { return reach(l.from, keys) }

func reach(edges map[Key][]Key, keys []Key) []Key {
	found := slices.Clone(keys)
	seen := map[Key]bool{}
	for _, k := range keys {
		seen[k] = true
	}
	for i := 0; i < len(found); i++ {
		for _, next := range edges[found[i]] {
			if !seen[next] {
				seen[next] = true
				found = append(found, next)
			}
		}
	}
	return found
}

// To lists what a record keeps itself.
func (l *Links) To(key Key) []Key { return l.to[key] }

// From lists what keeps a record itself.
func (l *Links) From(key Key) []Key { return l.from[key] }

// Number is the name of a snapshot's directory; ok is false if it has none.
func (l *Links) Number(key Key) (id uint64, ok bool) {
	id, ok = l.ids[SnapshotKey{key.Snapshotter, l.backend[key]}]
	return id, ok
}

// Parent is a snapshot's; ok is false if it has none.
func (l *Links) Parent(snapshot Key) (parent Key, ok bool) {
	for _, k := range l.to[snapshot] {
		if k.Sort == SortSnapshot { // the first, before those of labels
			return k, true
		}
	}
	return Key{}, false
}

// Lease is the record of a lease, or nil.
func (l *Links) Lease(key Key) *Lease { return l.leases[key] }

// Blob lists the records of a digest: one of each namespace that has it.
func (l *Links) Blob(digest string) []Key { return l.blobs[digest] }

// Snapshot is the record of what a directory holds; ok is false if there is none.
func (l *Links) Snapshot(snapshotter string, id uint64) (_ Key, ok bool) {
	name, ok := l.rows[rowKey{snapshotter, id}]
	if !ok {
		return Key{}, false
	}
	key, ok := l.names[SnapshotKey{snapshotter, name}]
	return key, ok
}
