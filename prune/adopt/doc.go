// Package adopt makes a running daemon delete layer chains that nothing needs.
//
// A chain that the daemon has registered cannot be deleted by hand: the daemon
// holds it in memory, answers "already exists" to the next pull, and every
// container of that image then fails (rule 7). So the daemon is given an image
// that consists of the chain and of nothing else: an archive with a manifest
// and a config, whose layers are all there already. Removing that image
// releases the chain, and the daemon's own driver deletes what the daemon does
// not count a reference to any more, under its own locks. It does so from 1.10
// on, with every graphdriver (moby image/tarexport/load.go, layer/layer_store.go).
//
// What may fall is computed from disk first ([Cascades]), because there are
// references that the daemon does not count: it deletes a layer that only
// such a reference needs. What it deletes it lists in its reply, and [Adopt]
// compares the two.
//
// Not promised: that a chain is gone afterwards. A pull, a build or a mount
// that the daemon knows of keeps it, which is the point.
package adopt
