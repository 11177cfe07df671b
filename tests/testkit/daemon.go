package testkit

import (
	"context"
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Daemon is a daemon that answers from lists; a test changes them at will.
type Daemon struct {
	ImageList     []scan.DaemonImage
	ContainerList []scan.DaemonContainer
	VolumeList    []scan.DaemonVolume
	Uses          map[string]scan.VolumeUse
	BuildList     []string
	ServiceList   []scan.DaemonService
	Err           map[string]error // by method
}

// newDaemon returns a daemon that knows what the root holds.
func (r *Root) newDaemon() *Daemon {
	d := &Daemon{Err: map[string]error{}}
	for name, id := range r.images {
		image := scan.DaemonImage{ID: id, Tags: []string{name + ":1"}}
		for _, layer := range r.below(name) {
			image.Layers = append([]string{"sha256:" + r.id("diff "+layer)}, image.Layers...)
		}
		d.ImageList = append(d.ImageList, image)
	}
	for name := range r.mounts {
		d.ContainerList = append(d.ContainerList, scan.DaemonContainer{ID: r.id("container " + name), Name: "/" + name})
	}
	d.VolumeList = slices.Clone(r.volumes)
	for _, id := range r.builds {
		d.BuildList = append(d.BuildList, id)
	}
	return d
}

// Forget makes the daemon not know an image or a container any more.
func (d *Daemon) Forget(id string) {
	keptImages := d.ImageList[:0]
	for _, i := range d.ImageList {
		if i.ID != id && i.ID != "sha256:"+id {
			keptImages = append(keptImages, i)
		}
	}
	d.ImageList = keptImages
	keptContainers := d.ContainerList[:0]
	for _, c := range d.ContainerList {
		if c.ID != id {
			keptContainers = append(keptContainers, c)
		}
	}
	d.ContainerList = keptContainers
}

// Info implements [scan.Daemon].
func (d *Daemon) Info(context.Context) (scan.DaemonInfo, error) {
	return scan.DaemonInfo{Version: "28.5.2"}, d.Err["Info"]
}

// Images implements [scan.Daemon].
func (d *Daemon) Images(context.Context) ([]scan.DaemonImage, error) {
	return d.ImageList, d.Err["Images"]
}

// Containers implements [scan.Daemon].
func (d *Daemon) Containers(context.Context) ([]scan.DaemonContainer, error) {
	return d.ContainerList, d.Err["Containers"]
}

// Volumes implements [scan.Daemon].
func (d *Daemon) Volumes(context.Context) ([]scan.DaemonVolume, error) {
	return d.VolumeList, d.Err["Volumes"]
}

// VolumeUses implements [scan.Daemon].
func (d *Daemon) VolumeUses(context.Context) (map[string]scan.VolumeUse, error) {
	return d.Uses, d.Err["VolumeUses"]
}

// BuildCache implements [scan.Daemon].
func (d *Daemon) BuildCache(context.Context) ([]string, error) {
	return d.BuildList, d.Err["BuildCache"]
}

// Services implements [scan.Daemon].
func (d *Daemon) Services(context.Context) ([]scan.DaemonService, error) {
	return d.ServiceList, d.Err["Services"]
}

// HasImage implements [scan.Daemon].
func (d *Daemon) HasImage(_ context.Context, id string) (bool, error) {
	for _, i := range d.ImageList {
		if i.ID == id {
			return true, d.Err["HasImage"]
		}
	}
	return false, d.Err["HasImage"]
}

// HasContainer implements [scan.Daemon].
func (d *Daemon) HasContainer(_ context.Context, id string) (bool, error) {
	for _, c := range d.ContainerList {
		if c.ID == id {
			return true, d.Err["HasContainer"]
		}
	}
	return false, d.Err["HasContainer"]
}
