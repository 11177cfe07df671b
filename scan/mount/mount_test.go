package mount

import (
	"testing"

	"github.com/moby/sys/mountinfo"
	"gotest.tools/v3/assert"
)

func info(minor int, root, point string) *mountinfo.Info {
	return &mountinfo.Info{Major: 8, Minor: minor, Root: root, Mountpoint: point}
}

func TestPlaces(t *testing.T) {
	const dir = "/var/lib/docker"
	for name, tc := range map[string]struct {
		table []*mountinfo.Info
		want  Places
	}{
		"part of the system's disk": {
			[]*mountinfo.Info{info(1, "/", "/"), info(2, "/", "/home")},
			Places{{8, 1, "/var/lib/docker", "."}},
		},
		"a subvolume": {
			[]*mountinfo.Info{info(1, "/@", "/")},
			Places{{8, 1, "/@/var/lib/docker", "."}},
		},
		"a disk of its own": {
			[]*mountinfo.Info{info(1, "/", "/"), info(2, "/", "/var/lib/docker")},
			Places{{8, 2, "/", "."}},
		},
		"on itself": {
			[]*mountinfo.Info{info(1, "/", "/"), info(1, "/var/lib/docker", "/var/lib/docker")},
			Places{{8, 1, "/var/lib/docker", "."}},
		},
		"covered by a later one": {
			[]*mountinfo.Info{info(2, "/", "/var/lib/docker"), info(3, "/d", "/var/lib/docker")},
			Places{{8, 3, "/d", "."}},
		},
		"volumes on another disk": {
			[]*mountinfo.Info{info(1, "/", "/"), info(2, "/v", "/var/lib/docker/volumes"), info(3, "/", "/var/lib/docker-old")},
			Places{{8, 2, "/v", "volumes"}, {8, 1, "/var/lib/docker", "."}},
		},
		"what is mounted for containers is none": {
			[]*mountinfo.Info{info(1, "/", "/"), info(9, "/", dir+"/overlay2/x/merged"), info(8, "/", dir+"/containers/x/mounts/shm"), info(2, "/", dir+"/vfs/dir")},
			Places{{8, 2, "/", "vfs/dir"}, {8, 1, "/var/lib/docker", "."}},
		},
		"nowhere": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			assert.DeepEqual(t, places(tc.table, dir), tc.want)
		})
	}
}

func TestBelowAndShows(t *testing.T) {
	p := Places{{8, 2, "/v", "volumes"}, {8, 1, "/var/lib/docker", "."}}
	for name, tc := range map[string]struct {
		mount *mountinfo.Info
		below string
		shows bool
	}{
		"itself":              {info(1, "/var/lib/docker", "/x"), ".", true},
		"above":               {info(1, "/var", "/x"), "", true},
		"the whole disk":      {info(1, "/", "/x"), "", true},
		"a volume":            {info(2, "/v/data/_data", "/x"), "volumes/data/_data", true},
		"a container's hosts": {info(1, "/var/lib/docker/containers/a/hosts", "/etc/hosts"), "containers/a/hosts", true},
		"beside":              {info(1, "/var/lib/docker-old", "/x"), "", false},
		"another disk":        {info(3, "/var/lib/docker", "/x"), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			below, ok := p.Below(tc.mount)
			assert.Equal(t, below, tc.below)
			assert.Equal(t, ok, tc.below != "")
			assert.Equal(t, p.Shows(tc.mount), tc.shows)
		})
	}
}

func TestUnseen(t *testing.T) {
	s := Survey{
		Namespaces: map[string]bool{"mnt:[1]": true},
		Pins:       []Pin{{Namespace: "mnt:[3]", Path: "/c"}, {Namespace: "mnt:[1]", Path: "/a"}, {Namespace: "mnt:[2]", Path: "/b"}, {Namespace: "mnt:[3]", Path: "/d"}},
	}
	assert.DeepEqual(t, s.Unseen(), []Pin{{Namespace: "mnt:[2]", Path: "/b"}, {Namespace: "mnt:[3]", Path: "/c"}})
}

func TestRemote(t *testing.T) {
	for fstype, want := range map[string]bool{
		"nfs4": true, "fuse.sshfs": true, "cifs": true, "fuseblk": true, "virtiofs": true, "vboxsf": true, "ext4": false, "overlay": false, "btrfs": false,
	} {
		assert.Equal(t, Remote(&mountinfo.Info{FSType: fstype}), want, fstype)
	}
}
