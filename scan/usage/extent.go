package usage

import "github.com/docker-orphans/docker-orphans/scan"

// An Extent is a part of a file whose blocks other files may have too, as those
// of copies that share their blocks until one is written (reflinks) and of
// snapshots.
type Extent struct {
	File   scan.FileKey
	Start  uint64 // on the file system; bytes
	Length uint64 // bytes, of the file
	// Whole says that the extent can only be told from others by its Start: it
	// is compressed, and takes less there than its Length.
	Whole bool
}
