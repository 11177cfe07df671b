// Package linked makes copies of directory trees that take no space: each
// directory is made anew, and everything in it is a hard link.
//
// A volume that the daemon knows is removed by the daemon, which unlinks it
// (rule 6). What is linked elsewhere before outlives that.
//
// # What it promises
//
//   - A copy has the names of the tree, each of the same inode; its directories
//     have the owners, modes, flags that what is made in them inherits (chattr
//     +C and the like), extended attributes (access control lists, labels) and
//     times of the tree's.
//   - The tree is only read. To link a file changes the time of its last change
//     (ctime), and nothing else.
//   - Rule 9: no mount, no symbolic link and no file system is ever crossed. A
//     directory is entered by its one-element name in a descriptor of the one
//     above, and left by its "..", if that is the one that it was entered from.
//   - [Compare] is the proof that nothing is in a tree that is not in its copy.
//     It needs nothing but the two, so it holds after a crash as well.
//   - [Holds] is the proof that nothing of what was copied is gone from a tree.
//   - Memory and descriptors are bounded by the depth of a tree and the number of
//     directories in a directory, not by the number of files.
//
// # What it does not promise
//
// A file that is written to while both have it changes in both. A part of a
// copy that an error or the end of the process left is a tree like any other:
// the caller removes it, and the tree has all it had.
//
// Some trees cannot be linked, and [ErrImpossible] is the error of those: with
// files that are immutable, or have as many links as the file system allows, on
// a file system without links, with a project id that a disk quota counts by.
package linked
