package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/dm"
)

// API asks the running daemon. It is the second witness: what the daemon
// knows and the disk does not means that records were deleted behind its
// back, and that what they named may still be in use from its memory (rule 2).
var API = &scan.Source{
	ID:  scan.SourceAPI,
	Doc: "the daemon's images, containers, volumes and build cache, with the layers that it names",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		if in.Daemon == nil {
			return "no daemon runs on this data root; everything is read from disk", nil
		}
		a := &api{in: in, g: g}
		images, err := a.images(ctx)
		if err != nil {
			return "", err
		}
		containers, err := a.containers(ctx)
		if err != nil {
			return "", err
		}
		volumes, err := a.volumes(ctx)
		if err != nil {
			return "", err
		}
		builds, err := a.builds(ctx)
		if err != nil {
			return "", err
		}
		services, err := a.services(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d images, %d containers, %d volumes, %s%s", images, containers, volumes, builds, services), nil
	},
}

type api struct {
	in *scan.Input
	g  *scan.Graph
}

func (a *api) images(ctx context.Context) (int, error) {
	images, err := a.in.Daemon.Images(ctx)
	if err != nil {
		return 0, err
	}
	for _, i := range images {
		node := scan.ImageNode(i.ID)
		for _, tag := range i.Tags {
			a.g.Title(node, tag)
			break
		}
		a.g.Live(node, "image "+a.g.TitleOf(node), "GET /images/json")
		a.paths(node, i.Graph)
		for _, b := range a.in.Backends {
			for _, chain := range chainIDs(i.Layers) {
				a.g.Refer(node, scan.ChainNode(b.Name, chain), scan.ByDiffIDs)
			}
			config := "image/" + b.Name + "/imagedb/content/sha256/" + strings.TrimPrefix(i.ID, "sha256:")
			if err := a.witness(b, config, func() (bool, error) { return a.in.Daemon.HasImage(ctx, i.ID) }); err != nil {
				return 0, err
			}
		}
	}
	return len(images), nil
}

func (a *api) containers(ctx context.Context) (int, error) {
	containers, err := a.in.Daemon.Containers(ctx)
	if err != nil {
		return 0, err
	}
	for _, c := range containers {
		node := scan.ContainerNode(c.ID)
		a.g.Title(node, strings.TrimPrefix(c.Name, "/"))
		a.g.Live(node, "container "+a.g.TitleOf(node), "GET /containers/json")
		a.paths(node, c.Graph)
		for _, name := range c.Volumes {
			a.g.Refer(node, scan.VolumeNode(scan.Printable(name)), scan.ByVolume)
		}
		for _, b := range a.in.Backends {
			a.g.Refer(node, scan.MountNode(b.Name, c.ID), scan.ByRWLayer)
			if err := a.witness(b, node.Name, func() (bool, error) { return a.in.Daemon.HasContainer(ctx, c.ID) }); err != nil {
				return 0, err
			}
		}
	}
	return len(containers), nil
}

func (a *api) volumes(ctx context.Context) (int, error) {
	volumes, err := a.in.Daemon.Volumes(ctx)
	if err != nil {
		return 0, err
	}
	for _, v := range volumes {
		node := scan.VolumeNode(scan.Printable(v.Name))
		liveRecord(a.g, v.Name, "GET /volumes")
		a.listed(node, &v)
		for _, setting := range append(slices.Sorted(maps.Values(v.Options)), v.Mountpoint) {
			err := eachPathIn(a.in, setting, func(to scan.Node) {
				if to != node && (to.Kind != scan.KindLayer || isThere(a.in, a.g, to)) { // an option may name what was removed long ago
					a.g.Refer(volumeRecord(v.Name), to, scan.ByVolume)
				}
			})
			if err != nil {
				return 0, fmt.Errorf("volume %s: %w", scan.Printable(v.Name), err)
			}
		}
	}
	if err := a.lastUses(ctx); err != nil {
		return 0, err
	}
	return len(volumes), a.volumeWitness(ctx, volumes)
}

// lastUses notes what the daemon remembers of the volumes' last use. It is a help
// for people: that it remembers nothing, or does not answer, proves nothing.
func (a *api) lastUses(ctx context.Context) error {
	uses, err := a.in.Daemon.VolumeUses(ctx)
	if err != nil {
		return ctx.Err()
	}
	for name, use := range uses {
		if o := a.g.Object(scan.VolumeNode(scan.Printable(name))); o != nil && o.Note().Volume != nil {
			o.Note().Volume.LastUse = &use
		}
	}
	return nil
}

// listed notes that the daemon lists a volume, and what it says of it. That it
// does is no use of the volume.
func (a *api) listed(n scan.Node, v *scan.DaemonVolume) {
	o := a.g.Object(n)
	if o == nil {
		return // of another driver, or gone
	}
	note := o.Annotate()
	if note.Volume == nil {
		note.Volume = &scan.Volume{}
	}
	note.Volume.Listed, note.Volume.Scope = true, v.Scope
	if note.Volume.Driver == "" {
		note.Volume.Driver = v.Driver
	}
	if note.Volume.Options == nil {
		note.Volume.Options = v.Options
	}
	mounts(a.g, o, v.Options["type"], v.Options["device"], o.Name)
	note.Labels.AddAll(v.Labels, "GET /volumes")
	doubtDriver(a.g, n, v.Driver, "the daemon")
}

// volumeWitness checks that the volumes that the daemon keeps are on disk. Of
// one that is not, the daemon told what it is made of; but that its data is
// among the layers, as that of old ones is, only the disk would tell.
func (a *api) volumeWitness(ctx context.Context, volumes []scan.DaemonVolume) error {
	var missing []string
	for _, v := range volumes {
		name := volumesDir + "/" + v.Name
		if v.Mountpoint != path.Join(a.in.DataRoot, name, "_data") {
			continue
		}
		if _, err := a.in.Tree.Stat(name); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, v.Name)
		} else if err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	again, err := a.in.Daemon.Volumes(ctx)
	if err != nil {
		return err
	}
	for _, v := range again {
		if slices.Contains(missing, v.Name) {
			a.g.Doubt(scan.Doubt{
				Source: scan.SourceAPI, Where: volumesDir + "/" + scan.Printable(v.Name), Err: "the daemon knows it, and it is not on disk",
				Hint:  "bring it back, or let Docker forget it: docker volume rm",
				Scope: dataScope(a.in),
			})
		}
	}
	return nil
}

// services adds what the services of a swarm mount by its path. Only a manager
// is told; what a service has on another node is in that node's tasks.
func (a *api) services(ctx context.Context) (note string, err error) {
	if !a.in.Info.Manager {
		return "", nil
	}
	services, err := a.in.Daemon.Services(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range services {
		use := func(to scan.Node) { a.g.Live(to, "service "+scan.Printable(s.Name), "GET /services") }
		err := eachPath(a.in, s.JSON, use)
		if err == nil {
			err = eachVolume(a.g, s.JSON, use)
		}
		if err != nil {
			return "", fmt.Errorf("service %s: %w", scan.Printable(s.Name), err)
		}
	}
	return fmt.Sprintf(", %d services", len(services)), nil
}

// builds adds the build records that the daemon lists. One that no database
// on disk has means that the databases are not those that the daemon uses.
func (a *api) builds(ctx context.Context) (string, error) {
	ids, err := a.in.Daemon.BuildCache(ctx)
	if errors.Is(err, scan.ErrNotAsked) {
		return "build cache not asked (the API before 1.42 has no cheap answer)", nil
	}
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		node := scan.Node{Kind: scan.KindBuild, Name: id}
		if !a.g.Has(node) {
			a.g.Doubt(scan.Doubt{
				Source: scan.SourceAPI, Where: "GET /system/df", Err: "build record " + scan.Printable(id) + " is in no database on disk",
				Hint:  "buildkit/ was replaced under the daemon, or a build runs now: try again, or restart the daemon",
				Scope: scan.Scope{BuildID: true},
			})
		}
		a.g.Live(node, "build record "+scan.Printable(id), "GET /system/df")
	}
	return fmt.Sprintf("%d build records", len(ids)), nil
}

// paths adds the layers that the daemon's storage driver names: by paths, as a
// thin device or as a dataset.
func (a *api) paths(from scan.Node, graph map[string]string) {
	for key, value := range graph {
		for _, path := range strings.Split(value, ":") {
			if to, ok := objectAt(a.in, path); ok {
				a.g.Refer(from, to, scan.ByGraph)
			}
		}
		id := ""
		switch key {
		case "DeviceName":
			id, _ = dm.LayerID(value)
		case "Dataset":
			id = path.Base(value)
		}
		for _, b := range a.in.Backends {
			if b.Medium.Apart() && scan.IsLayerID(id) {
				a.g.Refer(from, b.Layer(id), scan.ByGraph)
			}
		}
	}
}

// witness checks that what the daemon knows is on disk. If it is not, the
// daemon is asked again, for it may have been removed since.
func (a *api) witness(b *scan.Backend, name string, known func() (bool, error)) error {
	if _, err := a.in.Tree.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	still, err := known()
	if err != nil || !still {
		return err
	}
	if _, err := a.in.Tree.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a.g.Doubt(scan.Doubt{
		Source: scan.SourceAPI, Where: name, Err: "the daemon knows it, and it is not on disk",
		Hint:  "records were deleted under the daemon: restart it, or bring them back",
		Scope: scan.Scope{Backend: b.Name},
	})
	return nil
}
