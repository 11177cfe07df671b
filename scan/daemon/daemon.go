// Package daemon asks the Docker daemon what it knows. It is the only place
// where a scan uses the API's client, so that a change of client stays here.
package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"
)

// inspections is how many objects are inspected at a time.
const inspections = 4

// New returns the daemon behind a client.
func New(c client.APIClient) scan.Daemon { return &api{c} }

type api struct{ client client.APIClient }

// Info asks GET /info, and GET /_ping for the API's version.
func (a *api) Info(ctx context.Context) (scan.DaemonInfo, error) {
	info, err := a.client.Info(ctx)
	if err != nil {
		return scan.DaemonInfo{}, err
	}
	out := scan.DaemonInfo{
		EngineID: info.ID, DataRoot: info.DockerRootDir, Driver: info.Driver, Version: info.ServerVersion,
		APIVersion: a.client.ClientVersion(), OSType: info.OSType, Name: info.Name,
		Manager: info.Swarm.LocalNodeState == swarm.LocalNodeStateActive && info.Swarm.ControlAvailable,
	}
	for _, status := range info.DriverStatus {
		if status[0] == "driver-type" && status[1] == "io.containerd.snapshotter.v1" {
			out.ContainerdStore = true
		}
		if status[0] == "Pool Name" {
			out.Pool = status[1]
		}
	}
	for _, option := range info.SecurityOptions {
		if option == "name=rootless" {
			out.Rootless = true
		}
	}
	return out, nil
}

// Images lists all images. One that is removed meanwhile is left out.
func (a *api) Images(ctx context.Context) ([]scan.DaemonImage, error) {
	list, err := a.client.ImageList(ctx, image.ListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	return inspectAll(ctx, list, func(ctx context.Context, s image.Summary) (scan.DaemonImage, error) {
		i, err := a.client.ImageInspect(ctx, s.ID)
		if err != nil {
			return scan.DaemonImage{}, fmt.Errorf("inspect image %s: %w", s.ID, err)
		}
		return scan.DaemonImage{ID: i.ID, Tags: i.RepoTags, Layers: i.RootFS.Layers, Graph: i.GraphDriver.Data}, nil
	})
}

// Containers lists all containers. One that is removed meanwhile is left out.
func (a *api) Containers(ctx context.Context) ([]scan.DaemonContainer, error) {
	list, err := a.client.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	return inspectAll(ctx, list, func(ctx context.Context, s container.Summary) (scan.DaemonContainer, error) {
		c, err := a.client.ContainerInspect(ctx, s.ID)
		if err != nil {
			return scan.DaemonContainer{}, fmt.Errorf("inspect container %s: %w", s.ID, err)
		}
		out := scan.DaemonContainer{ID: c.ID, Name: c.Name, Image: c.Image, State: s.State, Graph: c.GraphDriver.Data}
		for _, m := range c.Mounts {
			if m.Name != "" {
				out.Volumes = append(out.Volumes, m.Name)
			}
		}
		return out, nil
	})
}

// inspectAll inspects every listed object, several at a time, and leaves out
// those that are gone by then.
func inspectAll[L, T any](ctx context.Context, list []L, inspect func(context.Context, L) (T, error)) ([]T, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inspections)
	var mu sync.Mutex
	out := make([]T, 0, len(list))
	for _, item := range list {
		group.Go(func() error {
			t, err := inspect(ctx, item)
			if errdefs.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			out = append(out, t)
			return nil
		})
	}
	return out, group.Wait()
}

// Volumes lists all volumes.
func (a *api) Volumes(ctx context.Context) ([]scan.DaemonVolume, error) {
	list, err := a.client.VolumeList(ctx, volume.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	var out []scan.DaemonVolume
	for _, v := range list.Volumes {
		out = append(out, scan.DaemonVolume{
			Name: v.Name, Driver: v.Driver, Scope: v.Scope, Mountpoint: v.Mountpoint, Options: v.Options, Labels: v.Labels,
		})
	}
	return out, nil
}

// eventsTime is how long the daemon may take to tell what it remembers.
const eventsTime = 5 * time.Second

// VolumeUses asks GET /events for those of volumes and containers until now.
func (a *api) VolumeUses(ctx context.Context) (map[string]scan.VolumeUse, error) {
	ctx, cancel := context.WithTimeout(ctx, eventsTime)
	defer cancel()
	messages, errs := a.client.Events(ctx, events.ListOptions{
		Since: "1", Until: strconv.FormatInt(time.Now().Unix(), 10), // 0 would be none but those to come
		Filters: filters.NewArgs(filters.Arg("type", string(events.VolumeEventType)), filters.Arg("type", string(events.ContainerEventType))),
	})
	uses, containers := map[string]scan.VolumeUse{}, map[string]events.Actor{}
	for {
		select {
		case m := <-messages:
			if m.Type == events.ContainerEventType {
				containers[m.Actor.ID] = m.Actor
			} else if m.Action == events.ActionMount || m.Action == events.ActionUnmount {
				uses[m.Actor.ID] = scan.VolumeUse{At: time.Unix(0, m.TimeNano).UTC(), Container: m.Actor.Attributes["container"]}
			}
		case err := <-errs:
			if !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("list events: %w", err)
			}
			for name, use := range uses {
				uses[name] = called(use, containers[use.Container].Attributes)
			}
			return uses, nil
		}
	}
}

// called gives a use the names of its container, by what an event says of that.
func called(use scan.VolumeUse, container map[string]string) scan.VolumeUse {
	if name := container["name"]; name != "" {
		use.Container = name
	}
	if service := container["com.docker.compose.service"]; service != "" {
		use.Service = container["com.docker.compose.project"] + "/" + service
	}
	return use
}

// BuildCache lists the build records. Before API 1.42 the daemon answers only
// after it has walked every container and volume, which takes minutes on a
// large host, so it is not asked: the databases on disk say more.
func (a *api) BuildCache(ctx context.Context) ([]string, error) {
	if versions.LessThan(a.client.ClientVersion(), "1.42") {
		return nil, scan.ErrNotAsked
	}
	usage, err := a.client.DiskUsage(ctx, types.DiskUsageOptions{Types: []types.DiskUsageObject{types.BuildCacheObject}})
	if err != nil {
		return nil, fmt.Errorf("list build cache: %w", err)
	}
	var ids []string
	for _, r := range usage.BuildCache {
		ids = append(ids, r.ID)
	}
	return ids, nil
}

// Services lists all services of a swarm.
func (a *api) Services(ctx context.Context) ([]scan.DaemonService, error) {
	list, err := a.client.ServiceList(ctx, swarm.ServiceListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	var out []scan.DaemonService
	for _, s := range list {
		data, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", s.Spec.Name, err)
		}
		out = append(out, scan.DaemonService{Name: s.Spec.Name, JSON: data})
	}
	return out, nil
}

// HasImage reports whether the daemon knows an image.
func (a *api) HasImage(ctx context.Context, id string) (bool, error) {
	_, err := a.client.ImageInspect(ctx, id)
	return known(err)
}

// HasContainer reports whether the daemon knows a container.
func (a *api) HasContainer(ctx context.Context, id string) (bool, error) {
	_, err := a.client.ContainerInspect(ctx, id)
	return known(err)
}

func known(err error) (bool, error) {
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
