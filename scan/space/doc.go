// Package space says where the space of a data root went.
//
// A [Ledger] is one walk of all of it: every inode below the data root is in
// exactly one item, so that the items add up to the walk, and an item is in
// one [Account]. What a scan has judged is in the account of what needs it,
// orphans in their own; the rest goes by where it lies. A name that no Docker
// makes is unknown, and listed.
//
// Bytes are those on disk (st_blocks × 512), an inode with several names once, and
// so are blocks that files share: reflinks of an XFS, snapshots of a btrfs.
// The walk enters no mount: what lies on another file system is listed by its
// mount point. Files that were removed and that a process has open are no part
// of the walk; the scan knows them (Host.Removed).
package space
