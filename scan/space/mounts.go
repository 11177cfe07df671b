package space

import (
	"path"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
)

// Mounts lists the mount points below the data root that its walk goes around,
// as this process's mount namespace has them. A directory that is mounted on
// itself, as the driver btrfs does with its own, is none: what is there is the
// data root's.
func Mounts(in *scan.Input) ([]string, error) {
	table, err := mount.Table(in.Proc + "/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return mountsBelow(table, strings.TrimSuffix(in.DataRoot, "/")), nil
}

func mountsBelow(table []*mountinfo.Info, root string) []string {
	around := &mountinfo.Info{}
	for _, m := range table {
		above := m.Mountpoint == root || strings.HasPrefix(root, strings.TrimSuffix(m.Mountpoint, "/")+"/")
		if above && len(m.Mountpoint) >= len(around.Mountpoint) {
			around = m // a later one covers an earlier at the same point
		}
	}
	var below []string
	for _, m := range table {
		name, ok := strings.CutPrefix(m.Mountpoint, root+"/")
		if !ok {
			continue
		}
		own := path.Join(around.Root, strings.TrimPrefix(root, strings.TrimSuffix(around.Mountpoint, "/")), name)
		if m.Major != around.Major || m.Minor != around.Minor || m.Root != own {
			below = append(below, name)
		}
	}
	slices.Sort(below)
	return slices.Compact(below)
}
