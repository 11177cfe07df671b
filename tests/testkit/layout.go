package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan/thin"
)

// How each storage driver lays its layers out.

// furnish makes what a driver has before its first layer.
func (r *Root) furnish() error {
	dir := r.layerDir("")
	if r.Driver == "overlay2" || r.Driver == "fuse-overlayfs" {
		dir = r.Driver + "/l"
	}
	beside := map[string][]string{
		"aufs":         {"aufs/layers", "aufs/mnt"},
		"devicemapper": {"devicemapper/mnt", "devicemapper/devicemapper"},
	}
	for _, dir := range append(beside[r.Driver], dir) {
		if err := os.MkdirAll(r.path(dir), 0o711); err != nil {
			return err
		}
	}
	if r.Driver != "devicemapper" {
		return nil
	}
	set := `{"next_device_id":1,"BaseDeviceUUID":"27718495-2963-4207-869c-9f9983a1068a","BaseDeviceFilesystem":"ext4"}`
	if err := r.write("devicemapper/metadata/deviceset-metadata", set); err != nil {
		return err
	}
	return r.thinDevice("base")
}

func (r *Root) layerDir(id string) string {
	switch r.Driver {
	case "vfs":
		return filepath.Join("vfs/dir", id)
	case "aufs":
		return filepath.Join("aufs/diff", id)
	case "btrfs":
		return filepath.Join("btrfs/subvolumes", id)
	case "zfs":
		return filepath.Join("zfs/graph", id)
	case "devicemapper":
		return filepath.Join("devicemapper/metadata", id)
	}
	return filepath.Join(r.Driver, id)
}

// linked makes a layer of overlay2 and its like.
func (r *Root) linked(name, id string, below []string) error {
	link := r.linkName(name)
	r.symbols[link] = "{link " + name + "}"
	files := map[string]string{"diff/file": name, "link": link}
	if len(below) > 0 {
		var lower []string
		for _, b := range below {
			lower = append(lower, "l/"+r.linkName(b))
		}
		files["lower"] = strings.Join(lower, ":")
		files["work/.keep"] = ""
	}
	for file, content := range files {
		if err := r.write(r.layerDir(id)+"/"+file, content); err != nil {
			return err
		}
	}
	return os.Symlink("../"+id+"/diff", r.path(r.Driver+"/l/"+link))
}

// overlay makes a layer of the first overlay driver: one of an image whole,
// with the files of the layer below by hard links, one that is written on the
// nearest that is whole.
func (r *Root) overlay(name, id string, written bool, below []string) error {
	dir := r.layerDir(id)
	for len(below) > 0 && written {
		whole := r.layers[below[0]]
		if _, err := os.Lstat(r.path(r.layerDir(whole) + "/root")); err != nil {
			below = below[1:] // its upper is copied, and what it lies on is what this lies on
			continue
		}
		for file, content := range map[string]string{"upper/file": name, "work/.keep": "", "lower-id": whole} {
			if err := r.write(dir+"/"+file, content); err != nil {
				return err
			}
		}
		return nil
	}
	if err := r.write(dir+"/root/"+name, name); err != nil || len(below) == 0 {
		return err
	}
	lower := r.path(r.layerDir(r.layers[below[0]]) + "/root")
	entries, err := os.ReadDir(lower)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Link(filepath.Join(lower, e.Name()), r.path(dir+"/root/"+e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// aufs makes a layer of aufs: its directory, where it is mounted, and the list
// of all layers below.
func (r *Root) aufs(name, id string, below []string) error {
	var list strings.Builder
	for _, b := range below {
		list.WriteString(r.layers[b] + "\n")
	}
	if err := os.MkdirAll(r.path("aufs/mnt/"+id), 0o711); err != nil {
		return err
	}
	if err := r.write(r.layerDir(id)+"/file", name); err != nil {
		return err
	}
	return r.write("aufs/layers/"+id, list.String())
}

// thinDevice makes a device of devicemapper: in the pool, and its record.
func (r *Root) thinDevice(id string) error {
	n := len(r.pool.Devices) + 1
	r.pool.Devices = append(r.pool.Devices, thin.Device{ID: uint32(n), Mapped: 122, Transaction: uint64(n - 1)})
	r.pool.Transaction = uint64(n)
	if err := r.pool.Write(r.path("devicemapper/devicemapper/metadata")); err != nil {
		return err
	}
	last := fmt.Sprintf(`{"open_transaction_id":%d,"device_hash":%q,"device_id":%d}`, n, id, n)
	if err := r.write("devicemapper/metadata/transaction-metadata", last); err != nil {
		return err
	}
	return r.write("devicemapper/metadata/"+id, fmt.Sprintf(
		`{"device_id":%d,"size":50331648,"transaction_id":%d,"initialized":%t,"deleted":false}`, n, n, id == "base"))
}
