//go:build linux

package engine

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The names of things on disk, below the data root, as findings have them.

// LayerDir is where the driver keeps its layers.
func (d *Daemon) LayerDir() string {
	switch d.Driver {
	case "vfs":
		return "vfs/dir"
	case "btrfs":
		return "btrfs/subvolumes"
	case "devicemapper":
		return "devicemapper/metadata"
	case "zfs":
		return "zfs/graph"
	}
	return d.Driver
}

// Content is where a layer has its files.
func (d *Daemon) Content(layer string) string {
	switch d.Driver {
	case "vfs", "btrfs", "zfs": // of zfs while it is mounted
		return layer
	case "overlay":
		if whole := layer + "/root"; d.Has(whole) {
			return whole
		}
		return layer + "/upper"
	case "devicemapper": // while it is mounted
		return "devicemapper/mnt/" + path.Base(layer) + "/rootfs"
	}
	return layer + "/diff"
}

// ImageDir is where the daemon keeps images' and layers' records.
func (d *Daemon) ImageDir() string { return "image/" + d.Driver }

// Chains is where a record of each registered layer is.
func (d *Daemon) Chains() string { return d.ImageDir() + "/layerdb/sha256" }

// MountRecord is where a container's layers are recorded.
func (d *Daemon) MountRecord(container string) string {
	return d.ImageDir() + "/layerdb/mounts/" + container
}

// ImageConfig is where an image's config is.
func (d *Daemon) ImageConfig(image string) string {
	return d.ImageDir() + "/imagedb/content/" + strings.Replace(image, ":", "/", 1)
}

// Path is a name below the data root as a path.
func (d *Daemon) Path(name string) string { return filepath.Join(d.Root, name) }

// Has reports whether the name is there, be it a dangling link. A layer of zfs
// is there if its dataset is, mounted or not.
func (d *Daemon) Has(name string) bool {
	if d.Driver == "zfs" && path.Dir(name) == d.LayerDir() {
		return slices.Contains(d.datasets(), name)
	}
	_, err := os.Lstat(d.Path(name))
	return err == nil
}

// Read returns a small file's content.
func (d *Daemon) Read(t TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(d.Path(name))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(data)
}

// List returns the names of what is in a directory below the data root, each
// with the directory's; none if the directory is not there.
func (d *Daemon) List(dir string) []string {
	entries, _ := os.ReadDir(d.Path(dir)) // What is not there has no entries.
	var names []string
	for _, e := range entries {
		names = append(names, dir+"/"+e.Name())
	}
	return names
}

// Whole reports whether a layer has all of those below it in it.
func (d *Daemon) Whole() bool {
	return slices.Contains([]string{"vfs", "btrfs", "overlay", "devicemapper", "zfs"}, d.Driver)
}

// Layers lists the driver's directories, or what else stands for a layer.
func (d *Daemon) Layers() []string {
	if d.Driver == "devicemapper" {
		return slices.DeleteFunc(d.List(d.LayerDir()), func(name string) bool {
			base := path.Base(name)
			return base == "base" || strings.HasSuffix(base, "-metadata") || strings.HasPrefix(base, ".")
		})
	}
	if d.Driver == "zfs" {
		return d.datasets()
	}
	return slices.DeleteFunc(d.List(d.LayerDir()), func(name string) bool {
		info, err := os.Lstat(d.Path(name))
		return err != nil || !info.IsDir() || filepath.Base(name) == "l"
	})
}

// Links is where the driver keeps the short links of its layers; "" if it has
// none.
func (d *Daemon) Links() string {
	if d.Whole() {
		return ""
	}
	return d.Driver + "/l"
}

// Link is the short link of a layer of a driver that has such.
func (d *Daemon) Link(t TB, layer string) string {
	t.Helper()
	return d.Links() + "/" + d.Read(t, layer+"/link")
}

// ContainerLayers are the writable layer of a container and its -init.
func (d *Daemon) ContainerLayers(t TB, container string) (writable, initial string) {
	t.Helper()
	record := d.MountRecord(container)
	return d.LayerDir() + "/" + d.Read(t, record+"/mount-id"), d.LayerDir() + "/" + d.Read(t, record+"/init-id")
}

// Registered is the layer that a chain's record names.
func (d *Daemon) Registered(t TB, chain string) (record, layer string) {
	t.Helper()
	record = d.Chains() + "/" + strings.TrimPrefix(chain, "sha256:")
	return record, d.LayerDir() + "/" + d.Read(t, record+"/cache-id")
}

// since lists what is in now and was not in before.
func since(before, now []string) []string {
	return slices.DeleteFunc(now, func(name string) bool { return slices.Contains(before, name) })
}
