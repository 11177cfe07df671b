// Package engine starts private Docker daemons, fills them with real images,
// containers and volumes, and breaks them the way reality does.
//
// Words: an [Engine] is one Docker (programs on disk); a [Daemon] is one
// running dockerd of it with a directory of its own, below which everything
// that it makes lies: data root, exec root, socket, log. A [State] is what a
// user would miss: what every image, container and volume reads as. [Truth] is
// the live set by the daemon's own answers.
//
// Promises: no daemon shares anything with another or with the machine's own
// Docker, so several run side by side; only processes below a daemon's own
// directory are ever signalled; nothing is removed while anything is mounted
// at or below it. Not promised: that a killed test program leaves nothing
// behind ([Sweep] is for that).
//
// Everything needs Linux and root.
package engine
