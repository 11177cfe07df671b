package btrfs

// A Quota knows how much is in each subvolume of a file system that is in no
// other, where the file system counts that (quota groups).
type Quota struct{ trusted bool }

const quotaTree = 8

// QuotaOf asks whether the file system of an open file counts what is in its
// subvolumes, and whether the numbers can be trusted.
func QuotaOf(fd int) Quota {
	// struct btrfs_qgroup_status_item: version, generation, flags
	const statusItem, version, flags, length = 240, 0, 16, 24
	// Counted at all; being counted anew; known to be wrong; and counted for
	// whoever wrote it first, which is not who alone has it (6.7).
	const on, rescan, inconsistent, simple = 1, 2, 4, 8
	status, err := find(fd, quotaTree, 0, statusItem, 0, ^uint64(0))
	if err != nil || len(status) < length || le.Uint64(status[version:]) != 1 {
		return Quota{} // ENOENT: there is no quota; EPERM: we may not ask
	}
	return Quota{trusted: le.Uint64(status[flags:])&(on|rescan|inconsistent|simple) == on}
}

// Trusted reports whether what is in a subvolume alone is counted.
func (q Quota) Trusted() bool { return q.trusted }

// Exclusive is how much of a subvolume, of which a directory is open, is in no
// other, in bytes. It is false where that is not known.
func (q Quota) Exclusive(dir int, s Subvolume) (bytes int64, ok bool) {
	if !q.trusted {
		return 0, false
	}
	// struct btrfs_qgroup_info_item: generation, referenced, compressed,
	// exclusive, compressed
	const infoItem, exclusive, length = 242, 24, 40
	info, err := find(dir, quotaTree, 0, infoItem, s.ID, s.ID)
	if err != nil || len(info) < length {
		return 0, false
	}
	return int64(le.Uint64(info[exclusive:])), true
}
