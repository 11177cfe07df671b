//go:build linux

package engine

import (
	"context"
	"os/exec"
)

// tools are the programs that tests beside those with daemons run, and the
// Debian packages that have them.
var tools = []struct{ program, pkg string }{
	{"mkfs.ext4", "e2fsprogs"},
	{"debugfs", "e2fsprogs"},
	{"mkfs.xfs", "xfsprogs"},
	{"xfs_io", "xfsprogs"},
	{"mkfs.btrfs", "btrfs-progs"},
	{"fuse-overlayfs", "fuse-overlayfs"},
	{"busybox", "busybox-static"},
	{"unshare", "util-linux"},
	{"setpriv", "util-linux"},
	{"losetup", "mount"},
}

// InstallTools installs what is missing of what the tests run. Without it they
// would skip what they cannot do.
func InstallTools(ctx context.Context) error {
	for _, t := range tools {
		if _, err := exec.LookPath(t.program); err == nil {
			continue
		}
		if err := install(ctx, t.pkg); err != nil {
			return err
		}
	}
	return nil
}
