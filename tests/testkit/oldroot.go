package testkit

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// OldDrivers are the storage drivers of Docker before 1.10.
var OldDrivers = []string{"aufs", "btrfs", "devicemapper", "overlay", "vfs", "zfs"}

// before110 makes the empty root one of Docker before 1.10: what stands below
// is written as that did.
func (r *Root) before110() error {
	if len(r.layers) > 0 {
		return fmt.Errorf("the root is not empty")
	}
	if !slices.Contains(OldDrivers, r.Driver) {
		return fmt.Errorf("there was no %s then", r.Driver)
	}
	r.old = map[string][]string{}
	for _, dir := range []string{"image", "plugins"} {
		if err := os.RemoveAll(r.path(dir)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(r.path("graph/_tmp"), 0o700); err != nil {
		return err
	}
	return r.write("linkgraph.db", "SQLite format 3\x00")
}

// oldImage makes an image of layers, the base first: each of them is an image
// whose id is the layer's, with the one before as its parent.
func (r *Root) oldImage(name string, layers ...string) error {
	var below []string
	parent := ""
	for _, layer := range layers {
		if err := r.Layer(layer, r.id("layer "+layer), below...); err != nil {
			return err
		}
		id := r.layers[layer]
		if err := r.OldRecord(id, parent); err != nil {
			return err
		}
		below = append([]string{layer}, below...)
		parent = id
	}
	r.old[name], r.images[name] = below, parent
	return nil
}

// OldRecord writes the record of an image of Docker before 1.10.
func (r *Root) OldRecord(id, parent string) error {
	config, err := json.Marshal(struct {
		ID     string `json:"id"`
		Parent string `json:"parent,omitempty"`
	}{id, parent})
	if err != nil {
		return err
	}
	if err := r.write("graph/"+id+"/layersize", "5"); err != nil {
		return err
	}
	return r.write("graph/"+id+"/json", string(config))
}

// oldTags gives every image a tag.
func (r *Root) oldTags() error {
	repositories := map[string]map[string]string{}
	for name, id := range r.images {
		repositories[name] = map[string]string{"1": id}
	}
	data, err := json.Marshal(map[string]any{"Repositories": repositories})
	if err != nil {
		return err
	}
	return r.write("repositories-"+r.Driver, string(data))
}

// oldContainer makes a stopped container of an image: its layers have its id.
func (r *Root) oldContainer(name, image string) error {
	below := r.old[image]
	if len(below) == 0 {
		return fmt.Errorf("container %s: no image %s", name, image)
	}
	id := r.id("container " + name)
	r.mounts[name] = id
	if err := r.Layer(name+"-init", id+"-init", below...); err != nil {
		return err
	}
	if err := r.Layer(name+"-rw", id, append([]string{name + "-init"}, below...)...); err != nil {
		return err
	}
	r.symbols[id] = "{container " + name + "}"
	config, err := json.Marshal(map[string]any{
		"ID": id, "Name": "/" + name, "Driver": r.Driver, "Image": r.images[image], "Volumes": map[string]string{},
	})
	if err != nil {
		return err
	}
	if err := r.write("containers/"+id+"/hostconfig.json", "{}"); err != nil {
		return err
	}
	return r.write("containers/"+id+"/config.json", string(config))
}
