package scan

// A SharedFile is an inode of which a walk met some names, but not all: it
// takes its space until the last of them goes. Layers of the first overlay
// driver have the files of those below them by hard links.
type SharedFile struct {
	FileKey
	Names int64 // that the walk met
	Links int64 // that there are
	Bytes int64 // st_blocks × 512
}

// A ledger adds up the names of shared files over several findings. A file of
// which they have all names goes with the last of them.
type ledger map[FileKey]*sharedEntry

type sharedEntry struct {
	SharedFile
	place int    // of the finding that it is counted for
	usage *Usage // of the part
}

// enter takes over the shared files of a finding's part. place is the
// finding's in the list, so that it is not chance which one is the last.
func (l ledger) enter(place int, u *Usage) {
	for _, s := range u.Shared {
		e := l[s.FileKey]
		if e == nil {
			e = &sharedEntry{SharedFile: s, place: place, usage: u}
			l[s.FileKey] = e
			continue
		}
		e.Names += s.Names
		e.Links = max(e.Links, s.Links) // one made in between belongs to somebody else
		if place >= e.place {
			e.place, e.usage = place, u
		}
	}
	u.Shared = nil
}

// settle counts every file of which all names were met.
func (l ledger) settle() {
	for _, e := range l {
		if e.Names >= e.Links {
			e.usage.Bytes += e.Bytes
			e.usage.Inodes++
		}
	}
}
