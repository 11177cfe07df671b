package space

import (
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
)

// Mounts lists the mount points below the data root that its walk goes around,
// as this process's mount namespace has them.
func Mounts(in *scan.Input) ([]string, error) {
	table, err := mount.Table(in.Proc + "/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var below []string
	for _, m := range table {
		if name, ok := strings.CutPrefix(m.Mountpoint, strings.TrimSuffix(in.DataRoot, "/")+"/"); ok {
			below = append(below, name)
		}
	}
	slices.Sort(below)
	return slices.Compact(below), nil
}
