package property

import (
	"context"
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A daemon answers with what its world knows at the moment.
type daemon struct{ *world }

// Info implements [scan.Daemon].
func (d *daemon) Info(context.Context) (scan.DaemonInfo, error) { return scan.DaemonInfo{}, nil }

// Images implements [scan.Daemon].
func (d *daemon) Images(context.Context) ([]scan.DaemonImage, error) {
	var all []scan.DaemonImage
	for _, id := range d.imageIDs() {
		i := scan.DaemonImage{ID: id}
		for _, c := range d.images[id].chains {
			i.Layers = append(i.Layers, d.chains[c].diff)
		}
		all = append(all, i)
	}
	return all, nil
}

// Containers implements [scan.Daemon].
func (d *daemon) Containers(context.Context) ([]scan.DaemonContainer, error) {
	var all []scan.DaemonContainer
	for _, id := range d.containerIDs() {
		all = append(all, scan.DaemonContainer{ID: id, Image: d.world.containers[id].image})
	}
	return all, nil
}

// Volumes implements [scan.Daemon].
func (d *daemon) Volumes(context.Context) ([]scan.DaemonVolume, error) { return nil, nil }

// VolumeUses implements [scan.Daemon].
func (d *daemon) VolumeUses(context.Context) (map[string]scan.VolumeUse, error) { return nil, nil }

// BuildCache implements [scan.Daemon].
func (d *daemon) BuildCache(context.Context) ([]string, error) { return sorted(d.builds), nil }

// Services implements [scan.Daemon].
func (d *daemon) Services(context.Context) ([]scan.DaemonService, error) { return nil, nil }

// HasImage implements [scan.Daemon].
func (d *daemon) HasImage(_ context.Context, id string) (bool, error) {
	return slices.Contains(d.imageIDs(), id), nil
}

// HasContainer implements [scan.Daemon].
func (d *daemon) HasContainer(_ context.Context, id string) (bool, error) {
	return slices.Contains(d.containerIDs(), id), nil
}
