// Package hold keeps daemons away from a data root while something is removed
// from it without one.
//
// A daemon that runs on the data root is found by what it has locked, open and
// mounted (scan/locate, scan/source). This package sees to it that none comes
// in the middle:
//
//   - Docker's units are at rest. With its socket active, anybody's docker ps
//     starts the daemon.
//   - The daemon's databases are locked as the daemon locks them: one that is
//     started gives up after a second. Before 24.0 it has begun with its
//     layers by then.
//   - The pid file names us, if this is the data root that Docker would use: a
//     daemon looks there before anything else.
//
// The kernel lets go of the locks however the process ends. A pid file that
// names a process that has ended keeps no daemon from starting.
package hold
