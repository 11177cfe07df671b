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
	"github.com/opencontainers/go-digest"
)

// Graph reads the images of Docker before 1.10 (moby graph/graph.go and
// graph/tags.go at v1.6.2 and v1.9.1). The layer of an image has the image's
// id, and an image lies on the layers of those before it:
//
//	graph/<image>/json             its config: its id, and that of its parent
//	graph/<image>/parent           its parent's id here, if the config has another (1.9)
//	graph/_tmp/<64 digits>         an image that is being written or removed
//	repositories-<driver>          tags
//	.migration-v1-images.json      the images that Docker 1.10 to 18.09 took over
//
// It is read before all other records: it tells by which of them a data root
// is judged.
var Graph = &scan.Source{
	ID:  scan.SourceGraph,
	Doc: "graph and repositories-<driver>: images of Docker before 1.10",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		r := &graphDir{in: in, g: g, parents: map[string]string{}, damaged: map[string]error{}}
		return r.collect(ctx)
	},
}

const (
	imageGraph    = "graph"
	imageGraphTmp = imageGraph + "/_tmp"
	migrated      = ".migration-v1-images.json"
)

// graphDir is one reading of the old images.
type graphDir struct {
	in      *scan.Input
	g       *scan.Graph
	parents map[string]string // image → its parent, "" for none
	damaged map[string]error  // image → why its record cannot be read
}

func (r *graphDir) collect(ctx context.Context) (string, error) {
	entries, err := r.in.Tree.ReadDir(imageGraph)
	if errors.Is(err, fs.ErrNotExist) {
		return "no images of Docker before 1.10", nil
	}
	if err != nil {
		return "", err
	}
	if r.g.Host.Before110, err = before110(r.in); err != nil {
		return "", err
	}
	if err := r.temporary(); err != nil {
		return "", err
	}
	ids := r.list(entries)
	r.tags(len(ids))
	if !r.g.Host.Before110 {
		return r.leftOver(ctx, ids)
	}
	if err := r.read(ctx, ids); err != nil {
		return "", err
	}
	for _, id := range ids {
		r.image(id)
	}
	if len(ids) == 0 {
		for _, b := range r.in.Backends {
			emptyDoubt(r.in, r.g, b, scan.SourceGraph, imageGraph, scan.TypeLayer)
		}
	}
	return fmt.Sprintf("%d images of Docker before 1.10", len(ids)), nil
}

// later are the names that Docker from 1.10 on makes in a data root and that
// no Docker before has.
var later = []string{
	"image", "overlay2", "fuse-overlayfs", "buildkit", "builder", "plugins", "swarm", "engine-id", "runtimes", "containerd",
	volumeRows,
}

// before110 reports whether a data root was used by no Docker since 1.10. If
// there is any trace of one, what it recorded counts, also where that was
// lost; whatever cannot be looked at may be such a trace.
func before110(in *scan.Input) (bool, error) {
	entries, err := in.Tree.ReadDir(".")
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(entries, func(e scan.Entry) bool { return strings.HasPrefix(e.Name, ".migration-") }) {
		return false, nil
	}
	traces := slices.Clone(later)
	for dir, file := range map[string]string{"containers": "config.v2.json", imageGraph: ".migration-diffid"} {
		entries, err := in.Tree.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		for _, e := range entries {
			if e.Type.IsDir() {
				traces = append(traces, dir+"/"+e.Name+"/"+file)
			}
		}
	}
	return !slices.ContainsFunc(traces, func(name string) bool {
		_, err := in.Tree.Stat(name)
		return !errors.Is(err, fs.ErrNotExist)
	}), nil
}

// temporary adds what is left of images that were being written or removed.
// Nothing ever empties the directory.
func (r *graphDir) temporary() error {
	entries, err := r.in.Tree.ReadDir(imageGraphTmp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		addDownload(r.in, r.g, "", imageGraphTmp, e, scan.IsID(e.Name), "interrupted pull, load, build or removal")
	}
	return nil
}

// list returns the ids of all images.
func (r *graphDir) list(entries []scan.Entry) []string {
	var ids []string
	for _, e := range entries {
		switch {
		case scan.IsID(e.Name):
			ids = append(ids, e.Name)
		case e.Type.IsDir() && !strings.HasPrefix(e.Name, "_"):
			r.doubt(imageGraph+"/"+scan.Printable(e.Name), errors.New("no image has such an id"), "which layers it needs is not known; they may be any")
		}
	}
	return ids
}

// read reads the records of images.
func (r *graphDir) read(ctx context.Context, ids []string) error {
	type record struct {
		parent string
		err    error
	}
	return scan.Parallel(ctx, len(ids), func(i int) record {
		parent, err := oldParent(r.in, ids[i])
		return record{parent, err}
	}, func(i int, got record) error {
		if got.err != nil {
			r.damaged[ids[i]] = got.err
		} else {
			r.parents[ids[i]] = got.parent
		}
		return nil
	})
}

// oldParent reads the id of an image's parent as the daemon did; "" for none
// (moby graph/graph.go, loadImage).
func oldParent(in *scan.Input, id string) (string, error) {
	dir := imageGraph + "/" + id
	data, err := in.Tree.ReadFile(dir+"/json", maxConfig)
	if err != nil {
		return "", err
	}
	var config struct {
		ID       string
		Parent   string
		ParentID digest.Digest `json:"parent_id"` // 1.9
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return "", fmt.Errorf("%s/json: %w", dir, err)
	}
	if config.ID != "" && config.ID != id {
		return "", fmt.Errorf("%s/json: is the config of %q", dir, config.ID)
	}
	parent := config.Parent
	if parent == "" && config.ParentID != "" {
		if err := config.ParentID.Validate(); err != nil {
			return "", fmt.Errorf("%s/json: parent_id: %w", dir, err)
		}
		parent = config.ParentID.Encoded()
	}
	switch local, err := in.Word(dir+"/parent", maxWord); {
	case err == nil:
		parent = local
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if parent != "" && !scan.IsID(parent) {
		return "", fmt.Errorf("%s: parent %q is no image's id", dir, parent)
	}
	return parent, nil
}

// image adds one image. It is live as long as its record can be read, with a
// tag or without: `docker images -a` shows it, and only `docker rmi` ends it.
func (r *graphDir) image(id string) {
	node := scan.ImageNode(id)
	referSameID(r.in, r.g, node, id)
	parent, ok := r.parents[id]
	if !ok {
		r.damage(id)
		return
	}
	r.g.Live(node, "image "+r.g.TitleOf(node), imageGraph+"/"+id+"/json")
	if parent == "" {
		return
	}
	r.g.Refer(node, scan.ImageNode(parent), scan.ByParent)
	if _, ok := r.parents[parent]; !ok { // its own record is lost, but not its layer
		referSameID(r.in, r.g, scan.ImageNode(parent), parent)
	}
}

// damage doubts what an image may lie on whose record is there and cannot be
// read.
func (r *graphDir) damage(id string) {
	if err := r.damaged[id]; err != nil && !r.in.Gone(imageGraph+"/"+id) {
		r.doubt(imageGraph+"/"+id, err, "which layers this image lies on is not known; they may be any")
	}
}

// referSameID refers from an image or a container of Docker before 1.10 to the
// layer that has its id: in each backend that has it, or if none has, in the
// first.
func referSameID(in *scan.Input, g *scan.Graph, from scan.Node, id string) {
	found := false
	for _, b := range in.Backends {
		if to := b.Layer(id); isThere(in, g, to) {
			g.Refer(from, to, scan.BySameID)
			found = true
		}
	}
	if !found && len(in.Backends) > 0 {
		g.Refer(from, in.Backends[0].Layer(id), scan.BySameID)
	}
}

// tags reads which names people gave to images. What Docker since 1.10 has left
// of them still tells a lost image's layer from the data of an old volume.
func (r *graphDir) tags(images int) {
	for _, b := range r.in.Backends {
		name := "repositories-" + b.Name
		data, err := r.in.Tree.ReadFile(name, maxConfig)
		if errors.Is(err, fs.ErrNotExist) && images == 0 {
			continue
		}
		var file struct{ Repositories map[string]map[string]string }
		if err == nil {
			err = json.Unmarshal(data, &file)
		}
		if err != nil {
			if r.g.Host.Before110 {
				r.doubt(name, err, "which images have a name is not known")
			}
			continue
		}
		for _, repository := range slices.Sorted(maps.Keys(file.Repositories)) {
			tags := file.Repositories[repository]
			for _, tag := range slices.Sorted(maps.Keys(tags)) {
				if _, err := digest.Parse(tag); err != nil { // a digest is no name that people use
					r.g.Title(scan.ImageNode(tags[tag]), scan.Printable(repository+":"+tag))
				}
			}
		}
	}
}

// leftOver looks at the records that Docker 1.10 or later has left in their
// place when it took the images over. Those that it did not take over are
// nobody's now, and still somebody's images: it tries again at each start of
// 1.10 to 18.09.
func (r *graphDir) leftOver(ctx context.Context, ids []string) (string, error) {
	var taken map[string]string
	data, err := r.in.Tree.ReadFile(migrated, maxConfig)
	if err == nil {
		err = json.Unmarshal(data, &taken)
	}
	if err != nil {
		taken = nil // of what was read of it, too, nothing is sure
	}
	for _, id := range ids {
		r.g.Title(scan.ImageNode(id), r.g.TitleOf(scan.ImageNode(id))) // an image's, not the data of a volume
	}
	waiting := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return taken[id] != "" })
	if len(waiting) == 0 {
		return fmt.Sprintf("%d images of Docker before 1.10, all taken over since", len(ids)), nil
	}
	cause := errors.New("no Docker since 1.10 has taken over this image of an older one")
	if err != nil {
		cause = fmt.Errorf("whether a Docker since 1.10 has taken over this image of an older one is not known: %s", said(err, migrated))
	}
	layers, err := r.layersOf(ctx, waiting)
	if err != nil {
		return "", err
	}
	r.g.Doubt(scan.Doubt{
		Source: scan.SourceGraph, Where: imageGraph + "/" + waiting[0], Err: cause.Error(),
		Hint:  "Docker 1.10 to 18.09 would do so when it starts; if nobody misses it, remove " + imageGraph + "/" + waiting[0],
		Scope: scan.Scope{Nodes: layers},
	})
	return fmt.Sprintf("%d images of Docker before 1.10, %d not taken over since", len(ids), len(waiting)), nil
}

// layersOf are the layers that images have and lie on. Of the records that are
// left, it reads only those that still tell something.
func (r *graphDir) layersOf(ctx context.Context, ids []string) ([]scan.Node, error) {
	var nodes []scan.Node
	seen := map[string]bool{}
	for len(ids) > 0 {
		if err := r.read(ctx, ids); err != nil {
			return nil, err
		}
		var parents []string
		for _, id := range ids {
			seen[id] = true
			r.damage(id)
			for _, b := range r.in.Backends {
				nodes = append(nodes, b.Layer(id))
			}
		}
		for _, id := range ids {
			if parent := r.parents[id]; parent != "" && !seen[parent] {
				seen[parent] = true
				parents = append(parents, parent)
			}
		}
		ids = parents
	}
	return nodes, nil
}

func (r *graphDir) doubt(where string, err error, hint string) {
	r.g.Doubt(scan.Doubt{
		Source: scan.SourceGraph, Where: where, Err: said(err, where), Hint: hint,
		Scope: scan.Scope{Types: []scan.Type{scan.TypeLayer}},
	})
}
