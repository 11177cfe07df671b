// Package unlink removes directory trees that may hold anything.
//
// A tree is an entry of a directory that the caller holds open. To remove it is
// to unlink every entry below it, each by its one-element name in a descriptor
// of its directory that was seen to be on the tree's mount. A
// [Crew] is the workers that trees are shared out among.
//
// # What it promises
//
//   - Rule 9: no mount, no symbolic link and no file system is ever crossed,
//     whatever others swap, move or mount meanwhile. With openat2 (Linux 5.6)
//     the kernel sees to it, by RESOLVE_BENEATH, NO_SYMLINKS, NO_XDEV and
//     NO_MAGICLINKS. Without it each directory is opened by O_NOFOLLOW, and the
//     mount id of what was opened is compared before anything in it is touched;
//     where the mount id cannot be had, nothing is. A subvolume of a btrfs is no
//     mount, though it has a device of its own: it is part of the tree.
//   - Rule 6: nothing goes while anything is mounted at or below the tree, in
//     any namespace, as far as the caller's Mounted knows: it is asked before
//     the first act and once more each second.
//   - What cannot be removed stays, with the directories above it; all else
//     goes. What stays is reported.
//   - A cancelled context stops it between any two entries. What is left is a
//     tree like any other.
//   - Memory, descriptors and stack are bounded whatever the tree: for each
//     worker maxDepth descriptors and one buffer's names of directories for
//     each, and one window of windowSize for large directories in all. A
//     directory that lies deeper is renamed up and removed from there.
//   - A subvolume goes at once, with all that is in it, once those in it have
//     gone, or it is emptied where the kernel does not let us destroy it. Those
//     that lie more than maxDepth directories deep in another are not found.
//   - Inode flags change only where asked for, and never those of an inode with
//     more than one link: layers of the first overlay driver share inodes.
//
// # What it does not promise
//
// A directory that another process moves out of the tree after it was entered
// loses its entries all the same: it was in the tree when its turn came. What a
// process has open takes its space until it is closed. Nothing is synced; after
// a power loss entries may be back. The first mount below a tree that is made
// while the tree goes keeps what it covers, its source, and the directories
// between it and the tree or the last place that a too deep part was cut off.
package unlink
