package space

import (
	"testing"

	"github.com/moby/sys/mountinfo"
	"gotest.tools/v3/assert"
)

func TestMountsBelow(t *testing.T) {
	on := func(minor int, root, point string) *mountinfo.Info {
		return &mountinfo.Info{Major: 8, Minor: minor, Root: root, Mountpoint: point}
	}
	system := on(1, "/", "/")
	for name, tc := range map[string]struct {
		table []*mountinfo.Info
		want  []string
	}{
		"none":                       {[]*mountinfo.Info{system}, nil},
		"beside":                     {[]*mountinfo.Info{system, on(2, "/", "/var/lib/docker2")}, nil},
		"a disk":                     {[]*mountinfo.Info{system, on(2, "/", "/var/lib/docker/volumes")}, []string{"volumes"}},
		"twice":                      {[]*mountinfo.Info{system, on(2, "/", "/var/lib/docker/a/b"), on(3, "/", "/var/lib/docker/a/b")}, []string{"a/b"}},
		"on itself":                  {[]*mountinfo.Info{system, on(1, "/var/lib/docker/btrfs", "/var/lib/docker/btrfs")}, nil},
		"on itself, in a disk":       {[]*mountinfo.Info{system, on(2, "/r", "/var/lib"), on(2, "/r/docker/btrfs", "/var/lib/docker/btrfs")}, nil},
		"on itself, the root is one": {[]*mountinfo.Info{system, on(2, "/r", "/var/lib/docker"), on(2, "/r/btrfs", "/var/lib/docker/btrfs")}, nil},
		"another of the same disk":   {[]*mountinfo.Info{system, on(1, "/home", "/var/lib/docker/volumes")}, []string{"volumes"}},
	} {
		t.Run(name, func(t *testing.T) { assert.DeepEqual(t, mountsBelow(tc.table, "/var/lib/docker"), tc.want) })
	}
}
