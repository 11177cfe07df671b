package locate

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
	"github.com/docker-orphans/docker-orphans/scan/process"
	"github.com/docker-orphans/docker-orphans/scan/tree"
)

// managed is where dockerd tells a containerd of its own to keep everything
// (moby daemon/command/daemon.go).
const managed = "containerd/daemon"

// A Containerd is the root of the containerd that a daemon uses.
type Containerd struct {
	*tree.Disk
	Below string // its name below the data root; "" if it is elsewhere
}

// FindContainerd finds and opens it: that of the process that the daemon has a
// connection to and that has a metadata database open, in the directory where we
// see the very same file. Without a daemon only that of a containerd of the
// daemon's own is known. The caller closes it. An error says why none is known.
func FindContainerd(in *scan.Input) (*Containerd, error) {
	if in.Daemon == nil {
		if !hasManaged(in) {
			return nil, errors.New("no daemon runs that says which containerd it uses, and none of its own is below " + in.DataRoot)
		}
		return openContainerd(in, filepath.Join(in.DataRoot, managed))
	}
	holder, err := containerdOf(in)
	if err != nil {
		return nil, err
	}
	path := strings.TrimSuffix(holder.Path, "/"+containerd.MetaDB)
	if holder.Removed {
		return nil, fmt.Errorf("%s: containerd (pid %d) works with a database that was removed", path, holder.PID)
	}
	c, err := openContainerd(in, path)
	if err != nil {
		return nil, err
	}
	info, err := c.Stat(containerd.MetaDB)
	if err == nil && (scan.FileKey{Device: info.Stamp.Device, Inode: info.Stamp.Inode}) != holder.Key {
		err = fmt.Errorf("containerd (pid %d) sees another directory there than we do", holder.PID)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), c.Close())
	}
	return c, nil
}

// hasManaged reports whether a containerd of the daemon's own was there.
func hasManaged(in *scan.Input) bool {
	_, err := in.Tree.Stat(managed + "/" + containerd.MetaDB)
	return err == nil
}

// containerdOf returns the database of the containerd that the daemon is
// connected to: any machine may run several.
func containerdOf(in *scan.Input) (*process.Holder, error) {
	holders, problem := process.Holders(in.Proc, containerd.MetaDB)
	var pids []int
	for _, h := range holders {
		pids = append(pids, h.PID)
	}
	owner := in.Host.Owner
	connected, err := process.Connected(in.Proc, owner.PID, pids)
	if err != nil {
		return nil, fmt.Errorf("%s (pid %d): %w", owner.Name, owner.PID, err)
	}
	var found []*process.Holder
	for i := range holders {
		if slices.Contains(connected, holders[i].PID) {
			found = append(found, &holders[i])
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("%s (pid %d) is connected to two: %s and %s", owner.Name, owner.PID, found[0].Path, found[1].Path)
	}
	err = fmt.Errorf("no process that %s (pid %d) is connected to has a database of containerd open", owner.Name, owner.PID)
	if problem != nil {
		err = fmt.Errorf("%w; not every process could be asked: %w", err, problem)
	}
	return nil, err
}

func openContainerd(in *scan.Input, path string) (*Containerd, error) {
	disk, err := tree.Open(path)
	if err != nil {
		return nil, err
	}
	c := &Containerd{Disk: disk}
	if below, ok := strings.CutPrefix(disk.Path(), strings.TrimSuffix(in.DataRoot, "/")+"/"); ok {
		c.Below = below
	}
	return c, nil
}
