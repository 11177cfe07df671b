package backend

import (
	"context"
	"errors"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Btrfs keeps each layer as a subvolume that began as a snapshot of the one
// below. So it has all of that in it, and nothing on disk needs the other any
// more (moby daemon/graphdriver/btrfs). Containers may have made subvolumes in
// theirs.
//
//	btrfs/subvolumes/<id>/   a layer
//	btrfs/quotas/<id>        its size limit, if it was given one
//
// What was copied by tar has directories instead.
var Btrfs = func() *scan.Backend {
	d := &dirs{backend: "btrfs", dir: "btrfs/subvolumes", other: probe}
	return &scan.Backend{
		Name: d.backend, Doc: "snapshots, one subvolume a layer", Dir: d.dir,
		Enumerate: d.enumerate, Layer: d.layer, Created: subvolumeMade,
	}
}()

// subvolumeMade tells when a subvolume was made: its stamp does, or nothing.
// For that its last change must not do, which is one of its origin.
func subvolumeMade(_ context.Context, _ *scan.Input, o *scan.Object) (time.Time, error) {
	if o.Medium == scan.Subvolume && o.Stamp.Birth.IsZero() {
		return time.Time{}, errors.New("the kernel does not tell")
	}
	return o.Stamp.Made(), nil
}
