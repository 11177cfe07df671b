package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/archive"
	"github.com/docker-orphans/docker-orphans/scan/driver"
	"github.com/docker-orphans/docker-orphans/scan/layerdb"
)

// An Opener makes images of what a data root has.
type Opener struct {
	archive.Root
	Platform archive.Platform // of an image that is made of layers whose own is not known
	Now      time.Time        // when such an image is made
}

// An Opened is an image that can be written.
type Opened struct {
	archive.Image
	LeftOut []string // files that no image can hold, with why
	close   func()
}

// Close releases what the image is read from.
func (o *Opened) Close() { o.close() }

// Open makes an image of a thing. Of several drivers that have it the first is
// taken of which it can be read; what is known only when it is written is not
// tried with the next.
func (o *Opener) Open(ctx context.Context, t *Thing) (*Opened, error) {
	open := map[Kind]func(context.Context, string, *Thing) (*Opened, error){Image: o.image, Chain: o.chain, Mount: o.mount}[t.Kind]
	var problems []error
	for _, driver := range t.Backends {
		opened, err := open(ctx, driver, t)
		if err == nil {
			return opened, nil
		}
		problems = append(problems, err)
	}
	return nil, errors.Join(problems...)
}

// image opens an image as it is.
func (o *Opener) image(ctx context.Context, driver string, t *Thing) (*Opened, error) {
	hex := digest.Digest(t.ID).Encoded()
	name := path.Join("image", driver, "imagedb/content/sha256", hex)
	config, err := o.Tree.ReadFile(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: missing: what is left of the image are layers, which go by their own ids", name)
	}
	if err != nil {
		return nil, err
	}
	if digest.FromBytes(config).Encoded() != hex {
		return nil, fmt.Errorf("%s: is not what it was: its digest is another than its name", name)
	}
	var image struct {
		RootFS struct {
			Diffs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(config, &image); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	opened := &Opened{Image: archive.Image{Config: config, Tags: t.Tags}, close: func() {}}
	if chains := layerdb.ChainIDs(image.RootFS.Diffs); len(chains) > 0 {
		if opened.Layers, _, err = o.registered(ctx, driver, chains[len(chains)-1]); err != nil {
			return nil, err
		}
	}
	return opened, nil
}

// registered opens the layers of a chain.
func (o *Opener) registered(ctx context.Context, driver, chain string) ([]archive.Layer, []string, error) {
	chains, err := layerdb.Read(o.Tree, driver, chain)
	if err != nil {
		return nil, nil, err
	}
	layers := make([]archive.Layer, len(chains))
	for i, l := range chains {
		if layers[i], err = archive.OpenRegistered(ctx, o.Root, driver, l); err != nil {
			return nil, nil, err
		}
	}
	return layers, layerdb.Diffs(chains), nil
}

// chain makes an image of a chain, with the settings of one that has most of
// it.
func (o *Opener) chain(ctx context.Context, driver string, t *Thing) (*Opened, error) {
	layers, diffs, err := o.registered(ctx, driver, t.ID)
	if err != nil {
		return nil, err
	}
	return o.made(driver, t, layers, diffs)
}

// mount makes an image of what a container wrote and what it lies on.
func (o *Opener) mount(ctx context.Context, name string, t *Thing) (*Opened, error) {
	id, parent, err := layerdb.ReadMount(o.Tree, scan.MountNode(name, t.ID).Name)
	if err != nil {
		return nil, err
	}
	var layers []archive.Layer
	var diffs []string // that it lies on
	if parent != "" && archive.Whole(name) {
		below, err := layerdb.Read(o.Tree, name, parent)
		if err == nil { // else settings are not known, which are not missed
			diffs = layerdb.Diffs(below)
		}
	} else if parent != "" {
		if layers, diffs, err = o.registered(ctx, name, parent); err != nil {
			return nil, err
		}
	}
	written, err := archive.OpenWritten(ctx, o.Root, path.Join(driver.Named(name).Layers, id), name)
	if err != nil {
		return nil, err
	}
	opened, err := o.made(name, t, append(layers, written), diffs)
	if err != nil {
		written.Close()
		return nil, err
	}
	opened.LeftOut, opened.close = written.LeftOut(), written.Close
	return opened, nil
}

// made is an image of layers that was never built. It takes its settings from
// one that has the most of those with these diff ids.
func (o *Opener) made(driver string, t *Thing, layers []archive.Layer, below []string) (*Opened, error) {
	diffs := make([]string, len(layers))
	for i, l := range layers {
		diffs[i] = l.Diff()
	}
	comment := "exported by docker orphans: " + string(t.Kind) + " " + scan.Printable(t.ID)
	config, err := archive.NewConfig(archive.FindBase(o.Tree, driver, below), o.Platform, diffs, comment, o.Now)
	if err != nil {
		return nil, err
	}
	tags := []string{archive.TagOf("orphans/exported", t.ID)}
	return &Opened{Image: archive.Image{Config: config, Tags: tags, Layers: layers}, close: func() {}}, nil
}
