// Package journal is what runs of prune leave on disk, and how it is read.
//
// A run is one execution of a plan. It has a directory of its own below the
// state directory of the data root:
//
//	.docker-orphans/lock                          held while something is removed or restored
//	.docker-orphans/deep                          parts of trees that lay too deep, until they are unlinked
//	.docker-orphans/reserve                       space to write a journal with when the disk is full
//	.docker-orphans/runs/<run>/journal            what was planned and what became of it, a JSON object a line
//	.docker-orphans/runs/<run>/held/<s>.<m>=<name>   the quarantine: what move m of step s took
//	.docker-orphans/runs/<run>/trash/<s>.<m>=<name>  what waits to be unlinked
//
// Places follow from the plan alone, and the plan is on stable storage before
// the first act. So what a run has taken is told by what lies in its places,
// however the run ended; the journal only says what was meant to happen next.
// A name keeps the one that the thing had: a mount or an open file below it is
// recognised by the id in its path, as before.
//
// A run that was over 90 days ago is forgotten once nothing depends on what it
// took.
//
// The package only reads; package prune writes. It stands below scan's
// sources because a quarantine is one of them: what it holds must be able to
// come back, so whatever that needs is kept.
package journal
