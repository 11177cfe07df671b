// Package containerd reads what a containerd keeps below its root: the records
// of every namespace, those of its snapshotters, and which directory or blob on
// disk each is about. It says what is recorded and judges nothing.
//
// Three levels lie above each other (containerd core/metadata/buckets.go,
// core/snapshots/storage/bolt.go): the metadata database names images, content,
// snapshots, leases and containers by namespace; a snapshotter's own database
// gives each of its snapshots a number; the number is the name of a directory.
// All namespaces share the content store and the directories.
//
// A [Store] may be partial: a database that could not be read, or that has a form
// which is not known, is a [Problem], and what the rest says stays true. That
// a record is missing proves nothing.
package containerd

// The places below containerd's root (containerd plugins/types.go).
const (
	MetaDB      = "io.containerd.metadata.v1.bolt/meta.db"
	contentDir  = "io.containerd.content.v1.content"
	snapshotDir = "io.containerd.snapshotter.v1." // and the snapshotter's name
	snapshotDB  = "metadata.db"                   // of a snapshotter
)
