package backend

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Overlay is the first driver for overlayfs (1.4 to 23), which could have but
// one layer below another. A layer of an image is whole:
//
//	overlay/<id>/root/      all files, those of the layers below by hard links
//
// One that is written lies on the root of one that is whole, and so does what
// was copied from one that lies on it:
//
//	overlay/<id>/lower-id   the id of that
//	overlay/<id>/upper/     its own files
//	overlay/<id>/work/
//	overlay/<id>/merged/    where it is mounted
//
// A layer that is unpacked is of the second form, with tmproot<n>/ beside, and
// becomes one of the first (moby daemon/graphdriver/overlay).
var Overlay = func() *scan.Backend {
	d := &dirs{backend: "overlay", dir: "overlay", other: probe}
	d.inspect = d.lowerID
	return &scan.Backend{
		Name: d.backend, Doc: "overlay mounts on one lower layer, image layers whole with hard links", Dir: d.dir,
		Enumerate: d.enumerate, Layer: d.layer,
	}
}()

// lowerID reads what a layer of the first overlay driver lies on.
func (d *dirs) lowerID(in *scan.Input, p *scan.Page, layer scan.Node) error {
	id, err := in.Word(layer.Name+"/lower-id", small)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return whole(in, layer)
	case err != nil:
		return err
	case !scan.IsID(id) && !scan.IsBuildID(id):
		return fmt.Errorf("lower-id: %q is not the id of a layer of an image", id)
	}
	p.Refer(layer, d.layer(id), scan.ByLower)
	return nil
}

// whole checks that a layer without a lower-id needs none.
func whole(in *scan.Input, layer scan.Node) error {
	_, err := in.Tree.Stat(layer.Name + "/root")
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("lower-id: missing, and so is root/: what it lay on is not known")
	}
	return err
}
