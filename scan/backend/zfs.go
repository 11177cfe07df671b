package backend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/tool"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
)

// ZFS keeps each layer as a dataset, a clone of a snapshot of the one below:
//
//	<parent>/<id>           the layer; origin: <parent>/<id below>@<number>
//	<parent>/<id>@<number>  what those that lie on it began as
//	zfs/graph/<id>          where it is mounted
//
// The parent is the dataset that the data root is in, unless the daemon was
// told another (zfs.fsname); then no layers are found there, and nothing is
// judged (moby daemon/graphdriver/zfs).
var ZFS = &scan.Backend{
	Name: "zfs", Doc: "datasets of a pool, each a clone of the one below", Dir: zfsDir, Medium: scan.Dataset,
	Enumerate: enumerateZFS, Layer: zfsLayer, Lookup: lookupZFS,
}

const zfsDir = "zfs/graph"

func zfsLayer(id string) scan.Node { return scan.Node{Kind: scan.KindLayer, Name: zfsDir + "/" + id} }

// listZFS lists the datasets of the pool that the data root is in, and the
// parent of the layers.
func listZFS(ctx context.Context, in *scan.Input) (parent string, all []zfs.Dataset, err error) {
	if in.Pools == nil {
		return "", nil, errors.New("the datasets of this data root are not on this machine")
	}
	parent, err = in.Pools.At(ctx, in.DataRoot)
	if err != nil {
		return "", nil, err
	}
	pool, _, _ := strings.Cut(parent, "/")
	all, err = in.Pools.List(ctx, pool)
	return parent, all, err
}

func enumerateZFS(ctx context.Context, in *scan.Input, g *scan.Graph) error {
	parent, all, err := listZFS(ctx, in)
	if err != nil {
		d := scan.Doubt{
			Source: "backend zfs", Where: zfsDir, Err: err.Error(), Scope: scan.Scope{Backend: "zfs"},
			Hint: "which layers there are is not known",
		}
		if errors.Is(err, tool.ErrMissing) {
			d.Hint = zfs.Zfs.Hint(err)
		}
		g.Doubt(d)
		return err
	}
	aside, err := asideDatasets(in.Tree, all)
	if err != nil {
		return err
	}
	layers := 0
	for i := range all {
		d := &all[i]
		if name, ok := strings.CutPrefix(d.Name, parent+"/"); ok && !strings.ContainsAny(name, "/@") {
			if !aside[d.GUID] {
				g.Add(zfsObject(d, name))
			}
			if scan.IsLayerID(name) {
				layers++
			}
		}
	}
	if layers == 0 {
		return fmt.Errorf("%s: no layer is in this dataset: the daemon may have been told another (zfs.fsname)", parent)
	}
	for i := range all {
		zfsEdges(g, parent, &all[i])
		id, ok := strings.CutSuffix(strings.TrimPrefix(all[i].Name, parent+"/"), "-init")
		if ok && g.Object(zfsLayer(id)) != nil {
			g.Refer(zfsLayer(id), zfsLayer(id+"-init"), scan.ByInitName)
		}
	}
	return nil
}

// asideDatasets gives the datasets that runs of ours have put aside the names
// that they had, and so their snapshots: what lies on what is as it was. It
// tells their guids; what quarantines them adds them.
func asideDatasets(tree scan.Tree, all []zfs.Dataset) (map[uint64]bool, error) {
	runs, err := journal.Read(tree)
	if err != nil {
		return nil, err
	}
	was := map[string]*journal.DatasetIdentity{} // by what it may be called now
	for _, run := range runs {
		for i := 0; run.Plan != nil && i < len(run.Plan.Steps); i++ {
			run.Plan.Steps[i].Datasets(run.ID, was)
		}
	}
	aside, names := map[uint64]bool{}, map[string]string{}
	for i := range all {
		if d := was[all[i].Name]; d != nil && d.GUID == all[i].GUID {
			aside[d.GUID], names[all[i].Name] = true, d.Name
		}
	}
	for i := range all {
		for _, name := range []*string{&all[i].Name, &all[i].Origin} {
			dataset, _, _ := strings.Cut(*name, "@")
			if old, ok := names[dataset]; ok {
				*name = old + strings.TrimPrefix(*name, dataset)
			}
		}
	}
	return aside, nil
}

// zfsObject is the object of a dataset directly below the parent.
func zfsObject(d *zfs.Dataset, name string) scan.Object {
	o := scan.Object{Node: zfsLayer(name), Backend: "zfs", Medium: scan.Dataset}
	n := o.Annotate()
	latest := d.Created.Add(time.Second - 1) // zfs tells whole seconds; a daemon may have started in this one
	n.Handle, n.Created = &scan.Handle{Name: d.Name, Made: d.GUID, Origin: d.Origin}, &latest
	if !scan.IsLayerID(name) {
		o.Name = zfsDir + "/" + scan.Printable(name)
		o.Unrecognised = "no graphdriver gives such a name"
	}
	return o
}

// zfsEdges adds what a dataset of the pool says of layers: what it began as,
// whose it is below, and whose snapshot it is.
func zfsEdges(g *scan.Graph, parent string, d *zfs.Dataset) {
	name, inside := strings.CutPrefix(d.Name, parent+"/")
	layer, snapshot, isSnapshot := strings.Cut(name, "@")
	layer, _, deeper := strings.Cut(layer, "/")
	if o := g.Object(zfsLayer(layer)); inside && o != nil && o.Unrecognised == "" {
		switch {
		case deeper:
			o.Unrecognised = "another dataset lies in it: " + scan.Printable(d.Name)
		case isSnapshot && !zfs.IsDockers(snapshot):
			o.Unrecognised = "somebody took a snapshot of it: " + scan.Printable(d.Name)
		}
	}
	below, ok := strings.CutPrefix(d.Origin, parent+"/")
	if !ok {
		return
	}
	below, _, _ = strings.Cut(below, "@")
	below, _, _ = strings.Cut(below, "/")
	if id := name; inside && !deeper && scan.IsLayerID(id) {
		g.Refer(zfsLayer(id), zfsLayer(below), scan.ByLower)
		return
	}
	g.Hold(zfsLayer(below), "cloned by "+scan.Printable(d.Name), "zfs list")
}

// lookupZFS looks for layers, all of them in one list.
func lookupZFS(ctx context.Context, in *scan.Input) (func(scan.Node) (scan.Object, error), error) {
	parent, all, err := listZFS(ctx, in)
	if err != nil {
		return nil, err
	}
	byName := map[string]*zfs.Dataset{}
	for i := range all {
		byName[all[i].Name] = &all[i]
	}
	return func(n scan.Node) (scan.Object, error) {
		id := strings.TrimPrefix(n.Name, zfsDir+"/")
		if d := byName[parent+"/"+id]; d != nil {
			return zfsObject(d, id), nil
		}
		return scan.Object{}, fmt.Errorf("%s/%s: %w", parent, id, fs.ErrNotExist)
	}, nil
}
