package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Leftovers lists what other versions of Docker, or the same one with another
// store, had in the data root:
//
//	rootfs/<snapshotter>/<id>    where a container's snapshot was mounted
//	builder/                     the contexts of builds (17.07 to 19.03, builder/fscache)
var Leftovers = &scan.Source{
	ID:  scan.SourceLeftovers,
	Doc: "rootfs and builder: mount points of containers, and the build cache of Docker before 20.10",
	Collect: func(_ context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		points, err := mountPoints(in, g)
		if err != nil {
			return "", err
		}
		note := fmt.Sprintf("%d mount points", points)
		found, err := contextCache(in, g)
		if found {
			note += ", the build cache of Docker before 20.10"
		}
		return note, err
	},
}

// mountPoints adds the directories on which containers are mounted whose
// snapshots containerd has. Docker removes one when it unmounts it. What is not
// empty shows what it is by being mounted, or is nobody's mount point.
func mountPoints(in *scan.Input, g *scan.Graph) (int, error) {
	snapshotters, err := in.Tree.ReadDir("rootfs")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	var points []scan.Node
	for _, s := range snapshotters {
		if !s.Type.IsDir() {
			continue
		}
		dir := path.Join("rootfs", s.Name)
		entries, err := in.Tree.ReadDir(dir)
		if err != nil {
			return 0, err
		}
		for _, e := range entries {
			node := scan.Node{Kind: scan.KindMountPoint, Name: path.Join(dir, e.Name)}
			if err := mountPoint(in, g, node, e.Name); err != nil {
				return 0, err
			}
			points = append(points, node)
		}
	}
	return len(points), lostContainers(in, g, points)
}

// lostContainers doubts mount points if there is no container at all: those may
// have been lost (rule 1).
func lostContainers(in *scan.Input, g *scan.Graph, points []scan.Node) error {
	entries, err := in.Tree.ReadDir("containers")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(points) > 0 && len(entries) == 0 {
		g.Doubt(scan.Doubt{
			Source: scan.SourceLeftovers, Where: "containers", Err: "empty or missing, while rootfs has mount points",
			Hint:  "if it was lost, bring it back before anything is removed; a host that has at least one container is not in doubt",
			Scope: scan.Scope{Nodes: points},
		})
	}
	return nil
}

func mountPoint(in *scan.Input, g *scan.Graph, node scan.Node, id string) error {
	info, err := in.Tree.Stat(node.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // unmounted since it was listed
	}
	if err != nil {
		return err
	}
	o := scan.Object{Node: node, Medium: info.Medium(), Stamp: info.Stamp}
	switch {
	case !scan.IsID(id):
		o.Unrecognised = "no container has such an id"
	case !info.Mode.IsDir():
		o.Unrecognised = "not a directory"
	default:
		g.Refer(scan.ContainerNode(id), node, scan.ByPath)
		below, err := in.Tree.ReadDir(node.Name)
		if err != nil {
			return err
		}
		if len(below) > 0 {
			o.Unrecognised = "not an empty mount point"
		}
	}
	if o.Unrecognised != "" {
		o.Name = scan.Printable(node.Name)
	}
	g.Add(o)
	return nil
}

// contextCache adds builder/, if Docker made all that is in it: a database, and
// a directory for each context.
func contextCache(in *scan.Input, g *scan.Graph) (bool, error) {
	const name = "builder"
	info, err := in.Tree.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	o := scan.Object{Node: scan.Node{Kind: scan.KindCache, Name: name}, Medium: info.Medium(), Stamp: info.Stamp}
	if !info.Mode.IsDir() {
		o.Unrecognised = "not a directory"
		g.Add(o)
		return true, nil
	}
	entries, err := in.Tree.ReadDir(name)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(entries, func(e scan.Entry) bool { return e.Name != "fscache.db" && !scan.IsID(e.Name) }) {
		o.Unrecognised = "something is in it that is no context of a build"
	}
	g.Add(o)
	known, since, err := usedSince2010(in)
	switch {
	case err != nil:
		return false, err
	case !known:
		g.Doubt(scan.Doubt{
			Source: scan.SourceLeftovers, Where: name, Err: "which version of Docker uses the data root is not known",
			Hint:  "Docker before 20.10 has its build cache there: look while the daemon runs",
			Scope: scan.Scope{Nodes: []scan.Node{o.Node}},
		})
	case !since:
		g.Live(o.Node, "Docker "+scan.Printable(in.Info.Version), "GET /version")
	}
	return true, nil
}

// usedSince2010 reports whether the Docker that uses the data root is 20.10 or
// later, if that can be told: the daemon says it; without one there is a file
// that only Docker since 23.0 makes.
func usedSince2010(in *scan.Input) (known, since bool, err error) {
	if in.Daemon != nil {
		return in.Info.Since(1, 0), in.Info.Since(20, 10), nil
	}
	_, err = in.Tree.Stat("engine-id")
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	return true, true, err
}
