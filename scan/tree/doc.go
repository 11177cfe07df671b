// Package tree is the data root on disk: the one implementation of
// [scan.Tree]. It reads and never writes, follows no symbolic link below the
// root and never leaves it, whatever the names and whoever changes them
// meanwhile. Mounts below the root belong to it; only [Disk.Walk] stays out of
// them.
//
// It works on Linux, from 3.10 on; elsewhere [Open] fails.
package tree
