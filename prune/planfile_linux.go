package prune

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fileSystem is an id of the file system that a directory is on, as statfs
// tells it. It is made from the file system's UUID on ext4 and btrfs; on xfs,
// where it is made from the device's number, a saved plan may not outlive a
// restart of the machine.
func fileSystem(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	return fmt.Sprintf("%08x%08x", uint32(st.Fsid.Val[0]), uint32(st.Fsid.Val[1])), nil
}
