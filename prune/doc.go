// Package prune is the only package that may write to a data root. These are
// the rules that it, and everything that decides for it, never breaks. Code
// that relies on one names its number.
//
//  1. Proof, not absence: every source that could own an object was read to
//     the end, none names it, and age rules out work in flight.
//  2. Two witnesses: what the daemon knows and the disk does not is a doubt;
//     what the disk has and the daemon does not know is a finding of its own.
//  3. Only names we recognise: there is no "everything but".
//  4. Old enough, provably: made before the daemon started, or unchanged for
//     the grace.
//  5. Mounted or open is held, in every namespace.
//  6. The daemon does it if it can.
//  7. Never behind the daemon's back: nothing that it holds in memory and may
//     use again.
//  8. Exactly the confirmed plan: two looks, and the stamp before each step.
//  9. Never across a mount, a symbolic link or a file system.
//  10. Killed at any instant, nothing is lost.
//  11. Undo for everything that cannot be made again.
//  12. Brakes: stop and explain when facts contradict each other.
//  13. Never make a driver directory empty or non-empty.
//  14. One at a time.
//  15. Three phases: rename aside, look again, only then unlink.
//  16. Nothing becomes an orphan because we removed its owner.
//
// # Words
//
// A [Plan] says which orphans go, how, and in which order; it is data. A run
// is one execution of a plan by a [Runner]; its journal and what it took lie
// below the data root (package journal, in scan). To take a thing is to
// rename it to its place in the run: the quarantine, from which it can be
// restored, or the trash, which is unlinked once everything was looked at
// again. A [Looker] looks at all sources anew; an [Adopter] has the daemon
// delete what only the daemon may. A [Disk] is the data root as a run writes
// to it: every change by hand is one of its few methods.
//
// A layer that is a thin device is taken by its metadata file; a [Pool] deletes
// the device where that is freed, and only while no daemon runs. A dataset of zfs
// is taken by being renamed in its pool, and destroyed where it is freed.
//
// What a running daemon lists of volumes goes by the daemon ([Volumes]), which
// unlinks at once. So to take such a volume is to give its files second names in
// quarantine (package linked), and only after the second look, and once the copy
// was compared, the daemon removes it. To restore one is to have the daemon make
// an empty one, and to move the content in.
//
// Without a daemon the caller keeps one from starting (package hold), and
// [Idle] is asked at each look.
//
// # Not promised
//
// Space in quarantine is free only once it is purged. What a process writes into
// a volume within the moment between the comparison and the daemon's removal,
// without a container that the daemon knows, goes with it if it is a new file. What a running daemon
// counts in memory stays until it restarts. What a process has open takes
// space until it is closed.
package prune
