package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// before110 adds a container that has nothing but the config of Docker before
// 1.10 (moby daemon/container.go at v1.6.2 and v1.9.1). For any other it returns
// the error that it was given, or one that says more:
//
//	containers/<id>/config.json, hostconfig.json
//
// Its layer has the container's id. In a data root that
// a later Docker has used it was not taken over, as its image was lost: no
// daemon lists it, and its data is still somebody's.
func (c *containers) before110(id string, none error) error {
	node := scan.ContainerNode(id)
	name := node.Name + "/config.json"
	for _, b := range c.in.Backends {
		if isThere(c.in, c.g, scan.MountNode(b.Name, id)) {
			return none // taken over: its config.v2.json is lost
		}
	}
	data, err := c.in.Tree.ReadFile(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		if c.g.Host.Before110 {
			return err
		}
		return none
	}
	if err != nil {
		c.unread(name, err)
		return err
	}
	var config containerConfig
	if err := json.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if config.ID != id || config.Image != "" && !scan.IsID(config.Image) {
		return fmt.Errorf("%s: is the config of %q with image %q", name, config.ID, config.Image)
	}
	title := strings.TrimPrefix(config.Name, "/")
	c.g.Title(node, title)
	if c.g.Host.Before110 {
		c.g.Live(node, "container "+title, name)
	} else {
		c.g.Doubt(scan.Doubt{
			Source: scan.SourceContainers, Where: node.Name,
			Err:   fmt.Sprintf("is container %s of Docker before 1.10, which no later one has taken over", scan.Printable(title)),
			Hint:  "no daemon lists it; look at its layer and its volumes before you remove its directory",
			Scope: scan.Scope{Nodes: []scan.Node{node}},
		})
	}
	c.alias(node, config.HostsPath)
	c.paths(node, "config.json")
	c.paths(node, "hostconfig.json")
	c.sameID(node, id, config.Driver)
	if config.Image != "" {
		image := scan.ImageNode(config.Image)
		c.g.Refer(node, image, scan.ByImage)
		c.referIfThere(image, config.Image) // its record may be lost: then only this names its layer
	}
	return nil
}

// sameID refers from a container to the layer that has its id. A container
// of another driver has none here; one of this driver has lost it if it is not
// here.
func (c *containers) sameID(node scan.Node, id, driver string) {
	for _, b := range c.in.Backends {
		ours := driver == "" || driver == b.Name
		if layer := b.Layer(id); ours && c.g.Host.Before110 || isThere(c.in, c.g, layer) {
			c.g.Refer(node, layer, scan.BySameID)
		}
	}
}

// referIfThere refers to a layer by its id in each backend that has it.
func (c *containers) referIfThere(from scan.Node, id string) bool {
	found := false
	for _, b := range c.in.Backends {
		if layer := b.Layer(id); isThere(c.in, c.g, layer) {
			c.g.Refer(from, layer, scan.BySameID)
			found = true
		}
	}
	return found
}
