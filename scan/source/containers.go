package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Containers reads the containers' configs, also those of containers that the
// daemon did not load: they still own their layers, volumes and paths (moby
// container/container.go):
//
//	containers/<id>/config.v2.json, hostconfig.json
var Containers = &scan.Source{
	ID:  scan.SourceContainers,
	Doc: "containers/*/config.v2.json: containers, loaded or not",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		c := &containers{in: in, g: g, images: readImages(in, g)}
		return c.collect(ctx)
	},
}

// containers is the reading of the containers' directory.
type containers struct {
	in     *scan.Input
	g      *scan.Graph
	images *images

	unreadable []string // containers whose config cannot be read
}

func (c *containers) collect(ctx context.Context) (string, error) {
	entries, err := c.in.Tree.ReadDir("containers")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	count := 0
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if c.add(e) {
			count++
		}
	}
	if count == 0 {
		noContainers(c.in, c.g)
	}
	for _, b := range c.in.Backends {
		if count == 0 {
			emptyDoubt(c.in, c.g, b, scan.SourceContainers, "containers", scan.TypeLayer, scan.TypeRWLayer)
		}
		c.ownerless(b)
	}
	c.describeDormant()
	return fmt.Sprintf("%d containers", count), nil
}

// add adds one entry of the directory and reports whether it is a container's.
func (c *containers) add(e scan.Entry) bool {
	node := scan.ContainerNode(e.Name)
	info, err := c.in.Tree.Stat(node.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false // removed since it was listed
	}
	o := scan.Object{Node: node, Medium: scan.Directory, Stamp: info.Stamp}
	switch {
	case err != nil:
		o.Unrecognised = err.Error()
		c.unread(node.Name, err)
	case !scan.IsID(e.Name):
		o.Unrecognised = "no container has such an id"
	case !info.Mode.IsDir():
		o.Unrecognised = "not a directory"
	}
	if o.Unrecognised != "" {
		o.Name = "containers/" + scan.Printable(e.Name)
		c.g.Add(o)
		for _, b := range c.in.Backends {
			// It stands where a container stood: what that had is not free.
			c.g.Refer(o.Node, scan.MountNode(b.Name, e.Name), scan.ByRWLayer)
		}
		if scan.IsID(e.Name) {
			doubtVolumes(c.g, o.Name, o.Unrecognised)
		}
		return false
	}
	c.g.Add(o)
	config, err := c.config(e.Name)
	if err == nil {
		c.container(e.Name, config)
		return true
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = c.before110(e.Name, err)
	}
	if err != nil {
		c.withoutConfig(e.Name, err)
	}
	return true
}

// containerConfig is the part of config.v2.json that says what it needs.
type containerConfig struct {
	ID          string
	Name        string
	Driver      string // "" before 1.3: the only one there was
	Image       string // before 1.10 without "sha256:"
	HostsPath   string // <data root>/containers/<id>/hosts
	MountPoints map[string]struct{ ID string }
}

// config reads a container's config.
func (c *containers) config(id string) (*containerConfig, error) {
	name := "containers/" + id + "/config.v2.json"
	data, err := c.in.Tree.ReadFile(name, maxConfig)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.unread(name, err)
		}
		return nil, err
	}
	var config containerConfig
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if config.ID != id {
		return nil, fmt.Errorf("%s: is the config of %q", name, config.ID)
	}
	return &config, nil
}

// unread doubts everything: what is there and cannot be read may say that its
// container needs any layer and any path.
func (c *containers) unread(where string, err error) {
	c.g.Doubt(scan.Doubt{
		Source: scan.SourceContainers, Where: scan.Printable(where), Err: said(err, where),
		Hint: "what this container needs is not known; it may be anything below the data root",
	})
}

// container adds what a container with a readable config needs.
func (c *containers) container(id string, config *containerConfig) {
	node := scan.ContainerNode(id)
	name := strings.TrimPrefix(config.Name, "/")
	c.g.Title(node, name)
	if c.dormant(id, node, config) {
		return
	}
	c.g.Live(node, "container "+name, node.Name+"/config.v2.json")
	if _, err := addHalfWritten(c.in, c.g, node.Name, "config.v2.json", "hostconfig.json"); err != nil {
		c.g.Doubt(scan.Doubt{
			Source: scan.SourceContainers, Where: node.Name, Err: said(err, node.Name),
			Scope: scan.Scope{Types: []scan.Type{scan.TypeDownload}},
		})
	}
	c.alias(node, config.HostsPath)
	c.paths(node, "config.v2.json")
	c.paths(node, "hostconfig.json")
	for _, b := range c.in.Backends {
		mount := scan.MountNode(b.Name, id)
		for _, m := range config.MountPoints {
			if m.ID != "" && c.g.Has(scan.MountNode(b.Name, m.ID)) { // an image mount of Docker 29
				c.g.Refer(node, scan.MountNode(b.Name, m.ID), scan.ByRWLayer)
			}
		}
		if config.Driver != "" && config.Driver != b.Name && c.g.Object(mount) == nil {
			continue // a container of another driver; with a record in this one it owns that all the same
		}
		c.g.Refer(node, mount, scan.ByRWLayer)
		c.image(b, node, mount, config.Image)
	}
}

// image checks a container's image: a lost config means that the container's
// layers are the last trace of it, and a mount record must name a parent if
// the image has layers.
func (c *containers) image(b *scan.Backend, node, mount scan.Node, id string) {
	if id == "" {
		return
	}
	c.g.Refer(node, scan.ImageNode(id), scan.ByImage)
	layers, known := c.images.layers[id]
	if !known {
		c.g.Host.LostTags = append(c.g.Host.LostTags, "container "+c.g.TitleOf(node))
	}
	if c.images.parent[mount] == "" && c.g.Object(mount) != nil && (!known || len(layers) > 0) {
		c.g.Doubt(scan.Doubt{
			Source: scan.SourceContainers, Where: mount.Name, Err: "names no parent, though its container has an image",
			Hint:  "its parent file was lost: which layers the container lies on is not known",
			Scope: scan.Scope{Backend: b.Name, Types: []scan.Type{scan.TypeImageLayer, scan.TypeLayer}},
		})
	}
}

// withoutConfig handles a container whose config is missing or damaged. With
// a mount record it still owns a layer; without one, any layer that nothing
// names may be its.
func (c *containers) withoutConfig(id string, err error) {
	node := scan.ContainerNode(id)
	if c.in.Gone(node.Name) {
		return
	}
	c.unreadable = append(c.unreadable, id)
	doubtVolumes(c.g, node.Name, err.Error())
	recorded := false
	if c.referIfThere(node, id) { // as before 1.10, or taken over since
		c.g.Doubt(scan.Doubt{
			Source: scan.SourceContainers, Where: node.Name, Err: err.Error(),
			Hint:  "the container's config cannot be read, but there is a layer with its id: bring the config back",
			Scope: scan.Scope{Nodes: []scan.Node{node}},
		})
	}
	for _, b := range c.in.Backends {
		mount := scan.MountNode(b.Name, id)
		if _, err := c.in.Tree.Stat(mount.Name); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		recorded = true
		c.g.Refer(node, mount, scan.ByRWLayer)
		c.g.Doubt(scan.Doubt{
			Source: scan.SourceContainers, Where: node.Name, Err: err.Error(),
			Hint:  "the container's config cannot be read, but it has a layer: bring the config back, or restart the daemon and remove the container",
			Scope: scan.Scope{Nodes: []scan.Node{node, mount}},
		})
	}
	if c.dormantRecord(id, err) {
		recorded = true
	}
	if recorded {
		c.lostPaths(node)
	} else {
		text := "has no config and no layerdb/mounts/" + scan.Short(id)
		if c.g.Host.Before110 {
			text = "has no config that can be read"
		}
		c.g.Doubt(scan.Doubt{
			Source: scan.SourceContainers, Where: node.Name, Err: text,
			Hint:  "any layer without a record may be this container's data",
			Scope: scan.Scope{Types: []scan.Type{scan.TypeLayer}},
		})
	}
}

// ownerless looks at the mount records of a backend that no container's
// config names.
func (c *containers) ownerless(b *scan.Backend) {
	prefix := scan.MountNode(b.Name, "").Name
	owned := map[scan.Node]bool{}
	for r := range c.g.Refs {
		if r.Why == scan.ByRWLayer {
			owned[r.To] = true
		}
	}
	var doubtful []scan.Node
	for i := range c.g.Objects {
		o := &c.g.Objects[i]
		name, ok := strings.CutPrefix(o.Name, prefix)
		if o.Kind != scan.KindMount || !ok || owned[o.Node] || aside(o) {
			continue
		}
		if owner, _, ok := strings.Cut(name, "-"); ok && scan.IsID(owner) { // an image mount of Docker 28: <container>-<image>
			if node := scan.ContainerNode(owner); c.g.Object(node) != nil {
				c.g.Refer(node, o.Node, scan.ByRWLayer)
				continue
			}
		}
		if len(c.unreadable) > 0 && !c.images.init[o.Node] {
			doubtful = append(doubtful, o.Node) // an image mount of a container whose config would tell
		}
		c.gone(o, name)
	}
	if len(doubtful) > 0 {
		c.g.Doubt(scan.Doubt{
			Source: scan.SourceContainers, Where: scan.ContainerNode(c.unreadable[0]).Name, Err: "its config cannot be read",
			Hint:  "it may name this mount record as one of its image mounts",
			Scope: scan.Scope{Nodes: doubtful},
		})
	}
}

// gone describes a mount record whose owner is gone. While the daemon runs it
// holds the parent layers of every record it has loaded.
func (c *containers) gone(o *scan.Object, name string) {
	parent := c.images.parent[o.Node]
	note := o.Annotate()
	note.Was, note.Labels = c.images.describe(name, parent, c.images.init[o.Node])
	if c.in.Daemon != nil && parent != "" {
		pin(c.g, o.Name, o.Name+"/parent", scan.Node{Kind: scan.KindChain, Name: parent})
	}
}
