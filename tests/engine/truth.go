//go:build linux

package engine

import (
	"context"
	"path"
	"path/filepath"
	"strings"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/storage"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
)

// Live is what the daemon needs, by its own answers and the records that they
// lead to: names below the data root, each with who needs it.
type Live map[string]string

// Truth asks the running daemon what it needs.
func Truth(t TB, d *Daemon) Live {
	t.Helper()
	c, ctx := d.client(t)
	defer c.Close()
	live := Live{}
	d.liveImages(ctx, t, c, live)
	d.liveContainers(ctx, t, c, live)
	volumes, err := c.VolumeList(ctx, volume.ListOptions{})
	if err != nil {
		t.Fatalf("volumes: %v", err)
	}
	for _, v := range volumes.Volumes {
		live["volumes/"+v.Name] = "volume " + v.Name
	}
	usage, err := c.DiskUsage(ctx, types.DiskUsageOptions{Types: []types.DiskUsageObject{types.BuildCacheObject}})
	if err != nil {
		t.Fatalf("build cache: %v", err)
	}
	for _, record := range usage.BuildCache {
		// Its layer has mostly, not always, the record's id.
		if layer := d.LayerDir() + "/" + record.ID; d.Has(layer) {
			live[layer] = "build record " + record.ID
		}
	}
	for _, layer := range d.Layers() {
		if who, ok := live[layer]; ok && d.Driver == "overlay2" {
			live[d.Link(t, layer)] = who
		}
	}
	return live
}

func (d *Daemon) liveImages(ctx context.Context, t TB, c *client.Client, live Live) {
	t.Helper()
	images, err := c.ImageList(ctx, image.ListOptions{All: true})
	if err != nil {
		t.Fatalf("images: %v", err)
	}
	for _, one := range images {
		i, err := c.ImageInspect(ctx, one.ID)
		if err != nil {
			t.Fatalf("image %s: %v", one.ID, err)
		}
		who := "image " + i.ID
		live[d.ImageConfig(i.ID)] = who
		for n := range i.RootFS.Layers {
			record, layer := d.Registered(t, ChainID(i.RootFS.Layers[:n+1]...))
			live[record], live[layer] = who, who
		}
		d.liveGraph(i.GraphDriver, who, live)
	}
}

func (d *Daemon) liveContainers(ctx context.Context, t TB, c *client.Client, live Live) {
	t.Helper()
	containers, err := c.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		t.Fatalf("containers: %v", err)
	}
	for _, one := range containers {
		i, err := c.ContainerInspect(ctx, one.ID)
		if err != nil {
			t.Fatalf("container %s: %v", one.ID, err)
		}
		who := "container " + i.ID
		writable, initial := d.ContainerLayers(t, i.ID)
		for _, name := range []string{"containers/" + i.ID, d.MountRecord(i.ID), writable, initial} {
			live[name] = who
		}
		d.liveGraph(i.GraphDriver, who, live)
	}
}

// liveGraph adds the layers whose directories GraphDriver.Data names, where
// the driver tells any: also those that no record names.
func (d *Daemon) liveGraph(g storage.DriverData, who string, live Live) {
	for _, dirs := range g.Data {
		for dir := range strings.SplitSeq(dirs, ":") {
			below, err := filepath.Rel(d.Path(d.LayerDir()), dir)
			if err != nil || strings.HasPrefix(below, "..") {
				continue // not a directory of the driver
			}
			id, _, _ := strings.Cut(below, "/")
			live[d.LayerDir()+"/"+id] = who
		}
	}
}

// Owner tells who needs a name: whoever needs it, what is above it or what is
// below.
func (l Live) Owner(name string) (who string, ok bool) {
	for at := name; at != "."; at = path.Dir(at) {
		if who, ok := l[at]; ok {
			return who, true
		}
	}
	for at, who := range l {
		if strings.HasPrefix(at, name+"/") {
			return who, true
		}
	}
	return "", false
}
