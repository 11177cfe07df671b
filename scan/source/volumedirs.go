package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// VolumeDirs lists the volumes of the local driver (moby volume/local/local.go):
//
//	volumes/<name>/_data      its data, or what is mounted over it
//	volumes/<name>/opts.json  what to mount there (1.11 on)
//
// It is read before everything that may name one. It opens nothing below a
// _data: that may be another machine's.
var VolumeDirs = &scan.Source{
	ID:  scan.SourceVolumeDirs,
	Doc: "volumes/*: the volumes that there are",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		entries, err := in.Tree.ReadDir(volumesDir)
		if errors.Is(err, fs.ErrNotExist) {
			return "no volumes", nil
		}
		if err != nil {
			return "", err
		}
		count := 0
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return "", err
			}
			if (e.Type.IsRegular() || e.Type&fs.ModeDevice != 0) && (e.Name == "metadata.db" || e.Name == "backingFsBlockDev") {
				continue
			}
			d := &volumeDir{in: in, g: g}
			d.add(e)
			count++
		}
		return fmt.Sprintf("%d directories", count), nil
	},
}

// volumeDir is one directory of a volume.
type volumeDir struct {
	in *scan.Input
	g  *scan.Graph
}

// add adds what is in the volumes' directory.
func (d *volumeDir) add(e scan.Entry) {
	node := scan.VolumeNode(e.Name)
	info, err := d.in.Tree.Stat(node.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return // removed since it was listed
	}
	o := scan.Object{Node: node, Medium: info.Medium(), Stamp: info.Stamp}
	switch {
	case err != nil:
		o.Unrecognised = err.Error()
	case !info.Mode.IsDir() && info.Mode&fs.ModeSymlink != 0:
		o.Unrecognised = "a symbolic link"
	case !info.Mode.IsDir():
		o.Unrecognised = "not a directory"
	case !scan.IsVolumeName(e.Name):
		o.Unrecognised = "the local driver makes no volume of such a name"
	default:
		if o.Unrecognised, err = d.inside(&o); errors.Is(err, fs.ErrNotExist) {
			return
		} else if err != nil {
			d.doubt(node, node.Name, said(err, node.Name), "")
		}
	}
	o.Name = scan.VolumeNode(scan.Printable(e.Name)).Name
	d.g.Add(o)
}

// inside looks at what a volume has beside its data, and says why it is no
// form that is known. What is said of where its data lies is a doubt: whether
// anybody else needs what lies elsewhere cannot be told.
func (d *volumeDir) inside(o *scan.Object) (unrecognised string, err error) {
	entries, err := d.in.Tree.ReadDir(o.Name)
	if err != nil {
		return "", err
	}
	o.Annotate().Volume = &scan.Volume{}
	data, old, other := false, false, ""
	for _, e := range entries {
		name := o.Name + "/" + e.Name
		switch {
		case e.Name == "_data" && e.Type&fs.ModeSymlink != 0:
			data = true
			// The daemon follows it, and deletes what it leads to if that is
			// below volumes/ (moby volume/local/local.go, Remove).
			d.doubt(o.Node, name, "is a symbolic link: the volume's data lies elsewhere",
				"stop Docker and remove the link by hand, once you have looked where it leads: docker volume rm may delete what it leads to")
		case e.Name == "_data" && !e.Type.IsDir():
			return "its _data is not a directory", nil
		case e.Name == "_data":
			data = true
		case e.Name == "opts.json":
			d.options(o, name)
		case e.Name == "config.json":
			old = true
			d.doubt(o.Node, name, "is of a volume of Docker before 1.7, whose data lies elsewhere", "look at the Path in it")
		default:
			other = e.Name
		}
	}
	switch {
	case other != "":
		return fmt.Sprintf("Docker makes no %s in a volume", scan.Printable(other)), nil
	case !data && !old:
		o.Annotate().Missing = "its _data is gone"
	}
	return "", nil
}

// options reads what the daemon mounts over a volume's data while a container
// uses it.
func (d *volumeDir) options(o *scan.Object, name string) {
	var options struct{ MountType, MountOpts, MountDevice string }
	data, err := d.in.Tree.ReadFile(name, maxVolumeOptions)
	if err == nil {
		err = json.Unmarshal(data, &options)
	}
	if err != nil {
		o.Notes.Volume.Mounts = "what cannot be read"
		d.doubt(o.Node, name, said(err, name), "")
		return
	}
	mounts(d.g, o, options.MountType, options.MountDevice, name)
}

// mounts notes that the daemon mounts something over a volume's data while a
// container uses it, and doubts the volume: whether anybody else needs what
// lies there cannot be told.
func mounts(g *scan.Graph, o *scan.Object, kind, device, where string) {
	note := o.Annotate().Volume
	if kind == "" && device == "" || note.Mounts != "" {
		return // a quota alone, or known
	}
	note.Mounts = scan.Printable(kind)
	if device != "" {
		note.Mounts += " from " + scan.Printable(device)
	}
	g.Doubt(scan.Doubt{
		Source: scan.SourceVolumeDirs, Where: scan.Printable(where), Err: "its data is mounted: " + note.Mounts,
		Hint:  "what lies there is not looked at; docker volume rm forgets the volume",
		Scope: scan.Scope{Nodes: []scan.Node{o.Node}},
	})
}

// doubt doubts the volume alone.
func (d *volumeDir) doubt(n scan.Node, where, text, hint string) {
	d.g.Doubt(scan.Doubt{
		Source: scan.SourceVolumeDirs, Where: scan.Printable(where), Err: text, Hint: hint,
		Scope: scan.Scope{Nodes: []scan.Node{n}},
	})
}

// volumeTypes are the types of volumes.
var volumeTypes = []scan.Type{scan.TypeVolume, scan.TypeBuilder}

// doubtVolumes doubts all volumes, for what a container has is not known.
func doubtVolumes(g *scan.Graph, where, text string) {
	g.Doubt(scan.Doubt{
		Source: scan.SourceContainers, Where: where, Err: text,
		Hint:  "any volume may be this container's: bring its config back, or remove the container",
		Scope: scan.Scope{Types: volumeTypes},
	})
}

// noContainers doubts the volumes where there is not a single container that
// would have one: the containers may be lost, and not the volumes.
func noContainers(in *scan.Input, g *scan.Graph) {
	there := false
	for i := range g.Objects {
		switch o := &g.Objects[i]; {
		case o.Kind == scan.KindContainer && takenNow(in, o):
			return
		case o.Kind == scan.KindVolume && !aside(o):
			there = true
		}
	}
	if there {
		g.Doubt(scan.Doubt{
			Source: scan.SourceContainers, Where: "containers", Err: "empty or missing, while " + volumesDir + " holds volumes",
			Hint:  "if it was lost, bring it back before anything is removed; a host that has at least one container is not in doubt",
			Scope: scan.Scope{Types: volumeTypes},
		})
	}
}

// volumeNamed returns the volume of a name, if there is one on disk.
func volumeNamed(g *scan.Graph, name string) (scan.Node, bool) {
	node := scan.VolumeNode(name)
	return node, scan.IsVolumeName(name) && g.Object(node) != nil
}

// eachVolume calls yield for every volume of which a string in a JSON text is
// the name.
func eachVolume(g *scan.Graph, data []byte, yield func(to scan.Node)) error {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	eachString(value, func(text string) {
		if to, ok := volumeNamed(g, text); ok {
			yield(to)
		}
	})
	return nil
}

// volumesIn lists the volumes that a container's configs name: those that it
// has (config.v2.json), and those that it was told to have (hostconfig.json).
func volumesIn(data []byte) ([]scan.Node, error) {
	var config struct {
		MountPoints map[string]struct{ Name string }
		Binds       []string
		Mounts      []struct{ Type, Source string }
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, err
	}
	var nodes []scan.Node
	add := func(name string) {
		if name != "" && !strings.Contains(name, "/") {
			nodes = append(nodes, scan.VolumeNode(scan.Printable(name)))
		}
	}
	for _, place := range slices.Sorted(maps.Keys(config.MountPoints)) {
		add(config.MountPoints[place].Name)
	}
	for _, b := range config.Binds {
		name, _, _ := strings.Cut(b, ":")
		add(name)
	}
	for _, m := range config.Mounts {
		add(m.Source)
	}
	return nodes, nil
}
