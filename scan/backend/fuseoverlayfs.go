package backend

// FuseOverlayfs has overlay2's layout in a directory of its own (20.10 on). A
// process mounts for it instead of the kernel, so the mount table tells where
// a layer is mounted but not which layers lie below: the links do.
var FuseOverlayfs = linked("fuse-overlayfs")
