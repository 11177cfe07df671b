package testkit

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/subvolume"
)

// RealRoots are the data roots that real daemons wrote. An image is the
// file system with its root, subvolumes and all.
var RealRoots = []string{"overlay2", "vfs", "fuse-overlayfs", "overlay", "aufs", "btrfs", "btrfs.img", "devicemapper", "devicemapper-lvm", "zfs"}

// OldRoots are those that daemons before 1.10 wrote, and such that 1.10 took
// over.
var OldRoots = []string{
	"vfs-1.9.1", "overlay-1.6.2", "aufs-1.9.1", "aufs-1.6.2", "devicemapper-1.6.2", "vfs-1.10.3-migrated", "overlay-1.10.3-migrated",
}

// A Truth is what is known of a real root: the daemon's own view before it was
// broken, and what was broken.
type Truth struct {
	Driver       string
	DriverLayers map[string]struct {
		State   string
		LayerDB []string `json:"layerdb"`
		Reasons []string
	} `json:"driver_layers"`
	LayerDB map[string]struct{ State string } `json:"layerdb"`
	Mounts  map[string]struct{ State string } `json:"layerdb_mounts"`
	Images  map[string]struct {
		Tags     []string
		CacheIDs []string `json:"cache_ids"` // the base first
	}
	Broken struct {
		// A layer of devicemapper of which only the device in the pool is left.
		DeviceLeft struct {
			ID  string
			Was struct {
				Device int `json:"device_id"`
			}
		} `json:"dm_metadata_file_deleted"`
	}
}

// Object is what the object of a layer is called: its id, or where that was
// lost with its record what is left of it.
func (t *Truth) Object(id string) string {
	if left := t.Broken.DeviceLeft; id == left.ID {
		return fmt.Sprintf("device-%d", left.Was.Device)
	}
	return id
}

// Unpack unpacks a real data root from the directory of all of them.
func Unpack(t testing.TB, from, name string) (*Case, Truth) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("real roots hold devices, owners and trusted xattrs: run the tests as root")
	}
	dir := t.TempDir()
	out, err := exec.Command("tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xSpf",
		filepath.Join(from, name+".tar.gz"), "-C", dir).CombinedOutput()
	assert.NilError(t, err, "%s", out)
	image := strings.HasSuffix(name, ".img")
	data, err := os.ReadFile(filepath.Join(from, strings.TrimSuffix(name, ".img")+".truth.json"))
	assert.NilError(t, err)
	var want Truth
	assert.NilError(t, json.Unmarshal(data, &want))
	root := &Root{Dir: filepath.Join(dir, "root"), Driver: want.Driver}
	if image {
		root.Dir = subvolume.Image(t, filepath.Join(dir, "fs-"+name))
	}
	if want.Driver == "zfs" {
		root.Pools, err = recordedPools(filepath.Join(from, "../recorded/zfs-list.txt"))
		assert.NilError(t, err)
	}
	return &Case{Root: root, Mapper: &Mapper{}, Policy: scan.Policy{Now: time.Now(), Grace: scan.DefaultGrace}}, want
}
