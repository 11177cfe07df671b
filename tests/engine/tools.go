//go:build linux

package engine

import (
	"context"
	"os/exec"
)

// A program is one that tests run, and the Debian package that has it.
type program struct{ name, pkg string }

// tools are the programs that tests beside those with daemons run, and the
// Debian packages that have them.
var tools = []program{
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
func InstallTools(ctx context.Context) error { return installAll(ctx, tools) }

// machineTools are the programs that a virtual machine is made with.
var machineTools = []program{
	{"qemu-system-x86_64", "qemu-system-x86"},
	{"modprobe", "kmod"},
	{"mkfs.ext4", "e2fsprogs"},
	{"dmsetup", "dmsetup"},
	{"busybox", "busybox-static"},
	{"mmdebstrap", "mmdebstrap"},
}

// InstallMachineTools installs what is missing of what make test-vm runs.
func InstallMachineTools(ctx context.Context) error { return installAll(ctx, machineTools) }

func installAll(ctx context.Context, programs []program) error {
	for _, t := range programs {
		if _, err := exec.LookPath(t.name); err == nil {
			continue
		}
		if err := install(ctx, t.pkg); err != nil {
			return err
		}
	}
	return nil
}
