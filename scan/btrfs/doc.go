// Package btrfs asks the kernel what it knows of the subvolumes of a btrfs:
// when each was made, and how much is in it that is in no other. It only reads,
// through descriptors that the caller opened.
//
// A subvolume begins as a snapshot of another and has all times of that one, its
// own birth too. What tells it from its origin is its number, which is never
// given twice in one file system, and the time that its root item keeps
// (otime).
package btrfs
