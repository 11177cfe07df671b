package containerd

import (
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A Root is the root of a containerd, and what it has on record.
type Root struct {
	Tree  scan.Tree
	Path  string // absolute
	Below string // its name below the data root; "" if it is elsewhere
	*Store
	Links *Links
}

// A Store is what a containerd has on record. Lists are sorted.
type Store struct {
	Version      int // of the form of the metadata database; 0: it was not read
	Namespaces   []*Namespace
	Snapshotters []*Snapshotter
	Problems     []Problem
}

// A Problem is a part that could not be read.
type Problem struct {
	Where string // below containerd's root
	Err   error
}

// A Namespace is the records of one user of containerd: "moby" is Docker's,
// "k8s.io" Kubernetes'.
type Namespace struct {
	Name       string
	Images     []Image
	Content    []Blob
	Ingests    []Ingest
	Snapshots  []Snapshot
	Leases     []Lease
	Containers []Container
}

// Labels are a record's. Those that begin with "containerd.io/gc." keep others.
type Labels map[string]string

// An Image is a name of some content.
type Image struct {
	Name      string
	Target    string // the digest of an index or a manifest
	MediaType string
	Labels    Labels
	Created   time.Time
}

// A Blob is a piece of content: an index, a manifest, a config, a packed layer.
type Blob struct {
	Digest  string // "sha256:<hex>"
	Size    int64  // in bytes
	Labels  Labels
	Created time.Time
}

// An Ingest is content that is being written.
type Ingest struct {
	Ref      string // the writer's name for it
	Backend  string // the name that the content store has it by; "" before containerd 1.2
	Expected string // the digest, if the writer told it
}

// A Snapshot is a layer, packed out, or what is written on top of one.
type Snapshot struct {
	Snapshotter string // "overlayfs"
	Key         string // of a layer the chain id, of a container its id
	Name        string // the key that the snapshotter has it by: "<namespace>/<number>/<key>"
	Parent      string // its key; "" if it has none
	Labels      Labels
	Created     time.Time
}

// A Lease keeps what it lists, and without an expiry label for ever. Docker has
// one for each container, named as it, and one for each build record.
type Lease struct {
	ID        string
	Labels    Labels
	Created   time.Time
	Snapshots []SnapshotKey
	Content   []string // digests
	Ingests   []string // refs
	Images    []string // names
}

// A SnapshotKey names a snapshot of a namespace.
type SnapshotKey struct{ Snapshotter, Key string }

// A Container is containerd's own record of one that runs. Docker's names no
// snapshot: the lease alone does.
type Container struct {
	ID       string
	Image    string
	Snapshot SnapshotKey
	Labels   Labels
}

// A Snapshotter is a directory of snapshots and the database that numbers them.
type Snapshotter struct {
	Name string
	// Sequence is the number that was given last. A directory above it is being
	// made, and its record is not finished.
	Sequence uint64
	Rows     []Row
	Read     bool // its database was read
}

// A Row is a snapshotter's record of one snapshot.
type Row struct {
	Key    string // [Snapshot.Name]
	ID     uint64 // the name of its directory
	Kind   Kind
	Parent string // its key
	Size   int64  // in bytes, of a committed one, as it was counted then
	Inodes int64
	Labels Labels
}

// Kind is what a snapshot can be used for (containerd core/snapshots/snapshotter.go).
type Kind uint8

// The kinds.
const (
	View      Kind = 1 // read-only, of a committed one
	Active    Kind = 2 // being written
	Committed Kind = 3
)
