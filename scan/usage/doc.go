// Package usage adds up what lies below a name: bytes on disk, inodes, the
// newest change, and signs that somebody will miss it.
//
// A walk opens directories and nothing else, each by its name in its parent's
// descriptor, follows no symbolic link and enters no mount. It holds some thirty
// descriptors per goroutine whatever the depth, and keeps in memory the way to
// where it is, the directories that one buffer of names holds per level, and
// the inodes that have more than one name.
//
// Bytes and inodes are those that would be free without what is walked: an inode
// that has names elsewhere too is listed as shared, and not counted.
//
// A part that cannot be read makes the sum a lower bound that says so. What is
// removed while the walk is on its way is nobody's mistake and says nothing. Of
// several problems, open files or telling names those are reported whose paths
// come first, so that two walks of one tree say the same.
//
// What it does not promise: where statx does not tell mount ids (before Linux
// 5.8), a file that another file of the same file system is mounted over is
// counted as if it were not.
package usage
