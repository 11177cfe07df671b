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
// What there is so far is the [Plan]: which orphans go, how, and in which order.
// Nothing carries one out yet.
package prune
