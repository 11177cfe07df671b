// Package backend lists the storage backends: what holds layers, where, and
// which layer lies on which. A backend is one file and one line in All.
//
// Backends say what there is. They do not judge, and they carry no code that
// deletes.
package backend

import "github.com/docker-orphans/docker-orphans/scan"

// All lists every backend that can be scanned.
var All = []*scan.Backend{
	Aufs,
	Btrfs,
	Devicemapper,
	FuseOverlayfs,
	Overlay,
	Overlay2,
	VFS,
	ZFS,
}

// Named returns the backend of a storage driver's name, or nil.
func Named(driver string) *scan.Backend {
	for _, b := range All {
		if b.Name == driver {
			return b
		}
	}
	return nil
}
