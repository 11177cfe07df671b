// Package driver knows the storage drivers that Docker ever shipped for Linux:
// where each keeps what, and by what a daemon chooses the one that it uses. It
// is about their trees as a whole; what is in them is told by the backends.
package driver

import (
	"errors"
	"io/fs"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A Driver is one storage driver. Its tree is the directory of its name in the
// data root, and its records are in image/<name> (1.10 on).
type Driver struct {
	Name string // as `docker info` has it
	// Layers is where a layer has its directory, below the data root; "" if
	// layers are no files there.
	Layers string
	// Apart is what its layers are if they do not go with the directory that they
	// are in, as directories and subvolumes do; "" if they go.
	Apart string
	// Removed is the first version of the engine that has it no more, 0 for
	// none.
	Removed int
}

// All lists the drivers (moby daemon/graphdriver).
var All = []Driver{
	{Name: "aufs", Layers: "aufs/diff", Removed: 24},
	{Name: "btrfs", Layers: "btrfs/subvolumes"},
	{Name: "devicemapper", Apart: "thin devices", Removed: 25},
	{Name: "fuse-overlayfs", Layers: "fuse-overlayfs"},
	{Name: "overlay", Layers: "overlay", Removed: 24},
	{Name: "overlay2", Layers: "overlay2"},
	{Name: "vfs", Layers: "vfs/dir"},
	{Name: "zfs", Apart: "datasets"},
}

// Named returns the driver of a name, or nil.
func Named(name string) *Driver {
	for i := range All {
		if All[i].Name == name {
			return &All[i]
		}
	}
	return nil
}

// Store is where the driver has its records, below the data root.
func (d *Driver) Store() string { return "image/" + d.Name }

// Left reports whether the driver left anything in a data root: records, or a
// tree that is not empty. The directory of vfs alone does not count, for the
// data of volumes from before Docker 1.9 is in it; with the names of images
// from before 1.10 it does.
func (d *Driver) Left(tree scan.Tree) (bool, error) {
	_, err := tree.Stat(d.Store())
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	if d.Name == "vfs" {
		_, err := tree.Stat(d.oldNames())
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return filled(tree, d.Name)
}

// oldNames is the file in which Docker before 1.10 keeps the names of the
// driver's images.
func (d *Driver) oldNames() string { return "repositories-" + d.Name }

// filled reports whether there is a directory of a name that is not empty. A
// file there, or a symbolic link, counts: something was put there.
func filled(tree scan.Tree, name string) (bool, error) {
	info, err := tree.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.Mode.IsDir() {
		return err == nil, err
	}
	entries, err := tree.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return len(entries) > 0, err
}

// Prior lists the drivers by whose trees a daemon that is not told its driver
// chooses: those that are not empty, but for vfs, which never counts (moby
// graphdriver/driver.go, scanPriorDrivers).
func Prior(tree scan.Tree) ([]string, error) {
	var prior []string
	for i := range All {
		if All[i].Name == "vfs" {
			continue
		}
		is, err := filled(tree, All[i].Name)
		if err != nil {
			return nil, err
		}
		if is {
			prior = append(prior, All[i].Name)
		}
	}
	return prior, nil
}
