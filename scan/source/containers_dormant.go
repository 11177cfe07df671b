package source

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/driver"
)

// The driver of containers whose config names none: before 1.3 there was one.
const oldestDriver = "aufs"

// dormant takes in a container of a storage driver that the daemon does not use,
// and so did not load, and reports whether it is one. Its directory is a part
// of what the driver left. What else it needs, its volumes first of all, is in
// use as that of any other container: one can go back to the driver.
func (c *containers) dormant(id string, node scan.Node, config *containerConfig) bool {
	name := cmp.Or(config.Driver, oldestDriver)
	head := dormantNamed(c.in, c.g, name)
	if head == nil {
		return false
	}
	for _, b := range c.in.Backends {
		if !c.in.Gone(scan.MountNode(b.Name, id).Name) {
			return false // with a record in this driver it owns that, whatever it says
		}
	}
	c.g.Refer(head.Node, node, scan.ByDriver)
	file := node.Name + "/config.v2.json"
	owner := scan.Node{Kind: scan.KindContainer, Name: file}
	c.g.Title(owner, c.g.TitleOf(node))
	c.g.Live(owner, "container "+c.g.TitleOf(node)+" of the storage driver "+name, file)
	c.alias(node, config.HostsPath)
	for _, file := range []string{"config.v2.json", "hostconfig.json"} {
		c.pathsFrom(node, node, file, head.Node)
		c.pathsFrom(owner, node, file, head.Node)
	}
	notes := head.Annotate()
	found, labels, err := c.content(id, node, name)
	if err != nil {
		found.Lost = err.Error()
		notes.Labels.Known = false
	}
	notes.Contents.Containers = append(notes.Contents.Containers, found)
	notes.Labels.AddAll(labels, file)
	return true
}

// dormantRecord handles a container whose config cannot be read, and reports
// whether a driver that the daemon does not use has a record of it.
func (c *containers) dormantRecord(id string, why error) bool {
	recorded := false
	node := scan.ContainerNode(id)
	for i := range driver.All {
		name := driver.All[i].Name
		if slices.ContainsFunc(c.in.Backends, func(b *scan.Backend) bool { return b.Name == name }) {
			continue
		}
		_, err := c.in.Tree.Stat(scan.MountNode(name, id).Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		recorded = recorded || err == nil // else there may be none, and any layer its
		doubt := scan.Doubt{
			Source: scan.SourceContainers, Where: node.Name, Err: why.Error(),
			Hint:  "the container's config cannot be read, but " + name + " has a layer of it: bring the config back, or remove the container's directory",
			Scope: scan.Scope{Nodes: []scan.Node{node}},
		}
		if head := dormantNamed(c.in, c.g, name); head != nil {
			doubt.Scope.Nodes = append(doubt.Scope.Nodes, head.Node)
		}
		c.g.Doubt(doubt)
	}
	return recorded
}

// content describes a container: by the last time that its config names, and
// by what of its layer is gone. The error is that of a config whose times and
// labels cannot be understood.
func (c *containers) content(id string, node scan.Node, name string) (scan.Content, map[string]string, error) {
	found := scan.Content{ID: id, Name: c.g.TitleOf(node)}
	var config struct {
		Created time.Time
		State   struct{ StartedAt, FinishedAt time.Time }
		Config  struct{ Labels map[string]string }
	}
	data, err := c.in.Tree.ReadFile(node.Name+"/config.v2.json", maxConfig)
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		return found, nil, err
	}
	for _, t := range []time.Time{config.Created, config.State.StartedAt, config.State.FinishedAt} {
		if t.After(found.Date) {
			found.Date = t
		}
	}
	found.Lost = c.lost(name, id)
	return found, config.Config.Labels, nil
}

// lost says what of the layer is gone that a driver has for a container.
func (c *containers) lost(name, id string) string {
	layer, err := c.in.Word(scan.MountNode(name, id).Name+"/mount-id", maxWord)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "its layer has no record"
	case err != nil:
		return err.Error()
	case !scan.IsLayerID(layer):
		return fmt.Sprintf("mount-id %q is no layer's id", layer)
	}
	return (&stock{in: c.in, d: driver.Named(name)}).layer(layer)
}

// describeDormant sums up what drivers left that the daemon does not use.
func (c *containers) describeDormant() {
	for _, d := range c.in.Dormant {
		o := dormantNamed(c.in, c.g, d.Name)
		if o == nil {
			continue
		}
		notes := o.Annotate()
		slices.SortFunc(notes.Contents.Containers, func(a, b scan.Content) int {
			return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
		})
		for _, found := range notes.Contents.Containers {
			if found.Lost != "" {
				notes.Contents.Lost = cmp.Or(notes.Contents.Lost, "container "+found.Name+": "+found.Lost)
			}
		}
		if since := driver.Named(d.Name).Removed; since > 0 && c.in.Info.Since(since, 0) {
			notes.Contents.Lost = fmt.Sprintf("engines from %d on have no %s", since, d.Name)
		}
		notes.Was = summary(notes.Contents)
	}
}

// summary is what a person would call all that a driver left.
func summary(all *scan.Contents) string {
	var last time.Time
	for _, found := range all.Containers {
		if found.Date.After(last) {
			last = found.Date
		}
	}
	used := ""
	if !last.IsZero() {
		used = "; last used " + last.UTC().Format(time.DateOnly)
	}
	return counted("image", all.Images, "") + ", " + counted("container", all.Containers, used)
}

// counted is "2 images (app:1, base:1)".
func counted(noun string, all []scan.Content, more string) string {
	text := fmt.Sprintf("%d %s", len(all), noun)
	if len(all) != 1 {
		text += "s"
	}
	if len(all) == 0 {
		return text
	}
	var names []string
	for _, found := range all {
		names = append(names, found.Name)
	}
	return text + " (" + strings.Join(names, ", ") + more + ")"
}
