//go:build e2e && linux && !vm

package e2e

// Where scenarios are played. On the newest engine one driver is enough: what
// differs there is the daemon.
var (
	everywhere = []place{{"debian", "overlay2"}, {"debian", "vfs"}, {"debian", "fuse-overlayfs"}, {"debian", "overlay"}, {"debian", "btrfs"}, {"latest", "overlay2"}}
	newest     = []place{{"latest", "overlay2"}}
	engines    = []place{{"debian", "overlay2"}, {"latest", "overlay2"}}
	busy       = everywhere                                                                   // where it is scanned beside everything, and interrupted
	raced      = []place{{"debian", "overlay2"}, {"debian", "btrfs"}, {"latest", "overlay2"}} // where prune is
	links      = []place{{"debian", "overlay2"}, {"debian", "fuse-overlayfs"}, {"latest", "overlay2"}}
)
