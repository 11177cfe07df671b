package prune

import (
	"context"

	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"

	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// VolumesOf returns the daemon behind a client.
func VolumesOf(c client.APIClient) Volumes { return &engine{c} }

type engine struct{ client client.APIClient }

// Volume asks GET /volumes/<name>.
func (e *engine) Volume(ctx context.Context, name string) (journal.Volume, string, error) {
	v, err := e.client.VolumeInspect(ctx, name)
	return journal.Volume{Name: v.Name, Driver: v.Driver, Options: v.Options, Labels: v.Labels}, v.Mountpoint, err
}

// MakeVolume asks POST /volumes/create.
func (e *engine) MakeVolume(ctx context.Context, v journal.Volume) error {
	_, err := e.client.VolumeCreate(ctx, volume.CreateOptions{Name: v.Name, Driver: v.Driver, DriverOpts: v.Options, Labels: v.Labels})
	return err
}

// RemoveVolume asks DELETE /volumes/<name>.
func (e *engine) RemoveVolume(ctx context.Context, name string) error {
	return e.client.VolumeRemove(ctx, name, false)
}
