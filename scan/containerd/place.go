package containerd

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// What says what lies at a path.
type What uint8

// What there is.
const (
	Unknown     What = iota // of no name that containerd gives
	Structure               // a directory that all share, or a file of containerd's own
	Database                // of the metadata, or of a snapshotter
	BlobFile                // content
	IngestDir               // a blob that is being written
	SnapshotDir             // of a snapshot, or a file that stands for one
	Runtime                 // the state of a container that runs
	Temporary               // what is being made, or was when containerd was killed
)

// A Place is what a path below containerd's root leads to.
type Place struct {
	What        What
	Path        string // where it begins: the path itself, or a directory above
	Namespace   string // of runtime state
	Snapshotter string
	Digest      string // of content
	ID          uint64 // of a snapshot's directory
	Name        string // of an ingest's directory, a container's state
}

// PlaceOf tells what a path below containerd's root leads to, by its name.
func PlaceOf(rel string) Place {
	elements := strings.Split(rel, "/")
	top := elements[0]
	if snapshotter, ok := strings.CutPrefix(top, snapshotDir); ok {
		return snapshotterPlace(snapshotter, rel, elements)
	}
	switch {
	case rel == ".":
		return Place{What: Structure, Path: rel}
	case top == contentDir:
		return contentPlace(rel, elements)
	case top == path.Dir(MetaDB):
		return Place{What: Database, Path: top}
	case strings.HasPrefix(top, "io.containerd.runtime.") || strings.HasPrefix(top, "io.containerd.sandbox."):
		if len(elements) < 3 {
			return Place{What: Structure, Path: rel}
		}
		return Place{What: Runtime, Path: path.Join(elements[:3]...), Namespace: elements[1], Name: elements[2]}
	case top == "tmpmounts":
		return Place{What: Temporary, Path: top}
	case strings.HasPrefix(top, "io.containerd."):
		return Place{What: Structure, Path: rel}
	}
	return Place{What: Unknown, Path: top}
}

func contentPlace(rel string, elements []string) Place {
	switch {
	case len(elements) == 1:
		return Place{What: Structure, Path: rel}
	case elements[1] == "ingest" && len(elements) > 2:
		return Place{What: IngestDir, Path: path.Join(elements[:3]...), Name: elements[2]}
	case (elements[1] == "blobs" || elements[1] == "ingest") && len(elements) <= 3:
		return Place{What: Structure, Path: rel}
	case elements[1] == "blobs" && len(elements) == 4:
		return Place{What: BlobFile, Path: rel, Digest: elements[2] + ":" + elements[3]}
	}
	return Place{What: Unknown, Path: rel}
}

// holders are the directories of snapshots: those of btrfs are by kind.
var holders = []string{"snapshots", "active", "view"}

func snapshotterPlace(snapshotter, rel string, elements []string) Place {
	p := Place{What: Structure, Path: rel, Snapshotter: snapshotter}
	switch {
	case len(elements) == 1:
		return p
	case elements[1] == snapshotDB || path.Ext(elements[1]) == ".db":
		p.What = Database
		return p
	case !slices.Contains(holders, elements[1]):
		p.What, p.Path = Unknown, path.Join(elements[:2]...)
		if elements[1] == "scratch" { // of blockfile: what every snapshot is a copy of
			p.What = Structure
		}
		return p
	case len(elements) == 2:
		return p
	}
	p.What, p.Path = Unknown, path.Join(elements[:3]...)
	id, err := strconv.ParseUint(elements[2], 10, 64)
	switch {
	case err == nil && strconv.FormatUint(id, 10) == elements[2]:
		p.What, p.ID = SnapshotDir, id
	case strings.HasPrefix(elements[2], "new-") || strings.HasPrefix(elements[2], "rm-"):
		p.What = Temporary
	}
	return p
}

// Divided reports directories whose entries are places of their own.
func Divided(rel string) bool {
	elements := strings.Split(rel, "/")
	switch p := PlaceOf(rel); {
	case rel == ".":
		return true
	case p.What != Structure:
		return false
	case elements[0] == contentDir:
		return true
	case p.Snapshotter != "":
		return len(elements) == 1 || slices.Contains(holders, elements[1])
	}
	return strings.HasPrefix(elements[0], "io.containerd.runtime.") || strings.HasPrefix(elements[0], "io.containerd.sandbox.")
}
