//go:build linux

package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
)

// A State is what a user would miss: what everything that the daemon has reads
// as. Two states of the same things are equal, whatever was restarted or
// started in between.
type State struct {
	Images     map[string]string // by id: its tags, what it exports, what a container of it sees
	Containers map[string]string // by id: its settings, what it exports
	Volumes    map[string]string // by name: its settings and content
}

// Snapshot reads the state of everything that the running daemon has.
func Snapshot(t TB, d *Daemon) State {
	t.Helper()
	c, ctx := d.client(t)
	defer c.Close()
	s := State{map[string]string{}, map[string]string{}, map[string]string{}}
	if err := snapshotImages(ctx, c, s.Images); err != nil {
		t.Fatalf("images: %v", err)
	}
	if err := snapshotContainers(ctx, c, s.Containers); err != nil {
		t.Fatalf("containers: %v", err)
	}
	if err := snapshotVolumes(ctx, c, s.Volumes); err != nil {
		t.Fatalf("volumes: %v", err)
	}
	return s
}

func snapshotImages(ctx context.Context, c *client.Client, state map[string]string) error {
	images, err := c.ImageList(ctx, image.ListOptions{All: true})
	if err != nil {
		return err
	}
	for _, i := range images {
		inspect, err := c.ImageInspect(ctx, i.ID)
		if err != nil {
			return err
		}
		slices.Sort(inspect.RepoTags)
		state[i.ID] = fmt.Sprintf("%v %s %s", inspect.RepoTags, encode(inspect.Config), encode(inspect.RootFS))
	}
	// The others are what these were built from: all theirs is in these.
	if images, err = c.ImageList(ctx, image.ListOptions{}); err != nil {
		return err
	}
	for _, i := range images {
		archive, err := c.ImageSave(ctx, []string{i.ID})
		if err != nil {
			return err
		}
		exports, err := digestTar(archive)
		if err != nil {
			return fmt.Errorf("%s: save: %w", i.ID, err)
		}
		sees, err := rootOf(ctx, c, i.ID)
		if err != nil {
			return fmt.Errorf("%s: %w", i.ID, err)
		}
		state[i.ID] += fmt.Sprintf(", exports %s, runs on %s", exports, sees)
	}
	return nil
}

// rootOf is the digest of what a container of the image sees. An image can be
// saved although a layer below it is missing that only a mount needs.
func rootOf(ctx context.Context, c *client.Client, image string) (string, error) {
	made, err := c.ContainerCreate(ctx, &container.Config{Image: image, Cmd: []string{"true"}}, nil, nil, nil, "")
	if err != nil {
		return "", fmt.Errorf("create: %w", err)
	}
	archive, err := c.ContainerExport(ctx, made.ID)
	if err != nil {
		return "", fmt.Errorf("export: %w", err)
	}
	sees, err := digestTar(archive)
	if err != nil {
		return "", fmt.Errorf("export: %w", err)
	}
	return sees, c.ContainerRemove(ctx, made.ID, container.RemoveOptions{RemoveVolumes: true})
}

func snapshotContainers(ctx context.Context, c *client.Client, state map[string]string) error {
	containers, err := c.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return err
	}
	for _, one := range containers {
		i, err := c.ContainerInspect(ctx, one.ID)
		if isWithoutLayer(err) {
			state[one.ID] = one.Names[0] + withoutLayer
			continue
		}
		if err != nil {
			return err
		}
		archive, err := c.ContainerExport(ctx, one.ID)
		if err != nil {
			return err
		}
		exports, err := digestTar(archive)
		if err != nil {
			return fmt.Errorf("%s: export: %w", one.ID, err)
		}
		var mounts []string
		for _, m := range i.Mounts {
			mounts = append(mounts, m.Name+" at "+m.Destination)
		}
		slices.Sort(mounts)
		i.HostConfig.OomKillDisable = nil // where the kernel has no such thing dockerd forgets it as the container starts
		state[one.ID] = fmt.Sprintf("%s of %s on %s, %s, config %s, host config %s, exports %s",
			i.Name, i.Image, i.Driver, mounts, encode(i.Config), encode(i.HostConfig), exports)
	}
	return nil
}

// withoutLayer is the state of a container whose layer's record is lost. The
// newest engine loads it, which cannot be read nor started.
const withoutLayer = " has lost its layer"

func isWithoutLayer(err error) bool {
	return err != nil && strings.Contains(err.Error(), "RWLayer of container")
}

func snapshotVolumes(ctx context.Context, c *client.Client, state map[string]string) error {
	volumes, err := c.VolumeList(ctx, volume.ListOptions{})
	if err != nil {
		return err
	}
	for _, v := range volumes.Volumes {
		reads, err := digestTree(v.Mountpoint)
		if err != nil {
			return err
		}
		state[v.Name] = fmt.Sprintf("%s %v %v, reads %s", v.Driver, v.Labels, v.Options, reads)
	}
	return nil
}

// Check is the one post-condition of every test: everything that was there
// before is there now and reads the same, nothing has come, and every
// container that does not run can be started.
func Check(t TB, d *Daemon, before State) {
	t.Helper()
	after := Snapshot(t, d)
	diff := slices.Concat(
		differ("image", before.Images, after.Images),
		differ("container", before.Containers, after.Containers),
		differ("volume", before.Volumes, after.Volumes),
	)
	if len(diff) > 0 {
		t.Fatalf("what the daemon had is not what it has:\n%s", strings.Join(diff, "\n"))
	}
	c, ctx := d.client(t)
	defer c.Close()
	containers, err := c.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, one := range containers {
		if one.State == container.StateRunning || strings.HasSuffix(before.Containers[one.ID], withoutLayer) {
			continue
		}
		if err := c.ContainerStart(ctx, one.ID, container.StartOptions{}); err != nil {
			t.Fatalf("start %s: %v", one.ID, err)
		}
		// It may have ended by itself; that it could start is the point.
		_ = c.ContainerKill(ctx, one.ID, "KILL")
	}
}

// differ says what is not the same, one line or three a thing.
func differ(kind string, before, after map[string]string) []string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	var diff []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		b, was := before[key]
		a, is := after[key]
		switch {
		case !is:
			diff = append(diff, fmt.Sprintf("%s %s is gone: %s", kind, key, b))
		case !was:
			diff = append(diff, fmt.Sprintf("%s %s has come: %s", kind, key, a))
		case a != b:
			diff = append(diff, fmt.Sprintf("%s %s\n\twas %s\n\tis  %s", kind, key, b, a))
		}
	}
	return diff
}
