// Package rescue gives an orphan a name in the daemon instead of removing it:
// a chain of image layers as it is, or the layer that a vanished container
// wrote, on top of what it lay on.
//
// Nothing of the data root is changed by hand. The daemon is given an archive
// of one image. Layers that it has are named in it and not contained; a written
// layer is contained (package archive). If it changes while it is read the daemon
// gets no whole archive.
//
// A load that fails releases what it found, and the daemon deletes what it
// counts no other reference to (see package adopt). So only what the daemon
// must have loaded when it started is rescued.
package rescue
