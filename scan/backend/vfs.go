package backend

import "github.com/docker-orphans/docker-orphans/scan"

// VFS keeps each layer as a full copy, so no layer lies on another. The data
// of volumes from before Docker 1.9 lives in the same directory.
var VFS = func() *scan.Backend {
	d := &dirs{backend: "vfs", dir: "vfs/dir", other: probe}
	return &scan.Backend{
		Name: d.backend, Doc: "full copies, one directory a layer", Dir: d.dir,
		Enumerate: d.enumerate, Layer: d.layer,
	}
}()
