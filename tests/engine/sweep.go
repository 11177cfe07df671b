//go:build linux

package engine

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Sweep ends every daemon that works below dir, unmounts all that is mounted
// there and removes it. Where something cannot be unmounted nothing is removed.
// Goroutines that still use the directory can start nothing in it any more.
func Sweep(dir string) error {
	gone := dir + ".gone"
	if err := os.Rename(dir, gone); err != nil {
		return err
	}
	// A dockerd that was about to start makes its directories again.
	if err := killOurs(dir, 0); err != nil {
		return err
	}
	for _, d := range []string{gone, dir} {
		if err := unmountBelow(d); err != nil {
			return err
		}
		if err := os.RemoveAll(d); err != nil {
			return err
		}
	}
	return nil
}

// Unmount unmounts all that is mounted below a name, as a reboot does.
func (d *Daemon) Unmount(t TB, name string) {
	t.Helper()
	if err := unmountBelow(d.Path(name)); err != nil {
		t.Fatalf("%v", err)
	}
}

// unmountBelow unmounts everything at and below dir, the last mounted first.
func unmountBelow(dir string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(mounts) {
		err := unix.Unmount(m.Mountpoint, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EBUSY) {
			// A process that has just been killed may still hold it.
			err = unix.Unmount(m.Mountpoint, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
		}
		// EINVAL: gone with the mount that it was propagated from.
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s: %w", m.Mountpoint, err)
		}
	}
	if mounts, err = mountinfo.GetMounts(mountinfo.PrefixFilter(dir)); err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("%s: still mounted, and so not removed", mounts[0].Mountpoint)
	}
	return nil
}
