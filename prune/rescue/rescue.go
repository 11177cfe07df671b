package rescue

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker-orphans/docker-orphans/prune/adopt"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/archive"
	"github.com/docker-orphans/docker-orphans/scan/layerdb"
)

// ErrTaken is the error of a tag that an image has already: it is never moved.
var ErrTaken = errors.New("is the name of an image already")

// A Request says what to rescue.
type Request struct {
	Daemon  adopt.Daemon
	Tree    scan.Tree
	Host    *scan.Host    // of the scan that found it
	Finding *scan.Finding // an image layer, or a writable layer
	Tag     string        // the image's name; "" is [DefaultTag]
}

// Rescued is the image that was made.
type Rescued struct {
	Image   string   `json:"image"` // "sha256:<hex>"
	Tag     string   `json:"tag"`
	LeftOut []string `json:"leftOut,omitempty"` // files that no image can hold, with why
}

// DefaultTag is the name of the image that rescues a finding.
func DefaultTag(f *scan.Finding) string { return archive.TagOf("orphans/rescued", f.ID) }

// Rescue makes an image of a finding.
func Rescue(ctx context.Context, r Request) (Rescued, error) {
	if r.Tag == "" {
		r.Tag = DefaultTag(r.Finding)
	}
	tag, err := archive.ReadTag(r.Tag)
	if err != nil {
		return Rescued{}, err
	}
	if _, err := r.Daemon.Image(ctx, tag); err == nil {
		return Rescued{}, fmt.Errorf("%s: %w", tag, ErrTaken)
	} else if !errdefs.IsNotFound(err) {
		return Rescued{}, fmt.Errorf("%s: %w", tag, err)
	}
	switch r.Finding.Type {
	case scan.TypeImageLayer:
		return r.chain(ctx, tag)
	case scan.TypeRWLayer:
		return r.written(ctx, tag)
	}
	return Rescued{}, fmt.Errorf("%s: a %s is nothing that an image can be made of", r.Finding.ShortID(), r.Finding.Type)
}

// chain gives a chain of registered layers a name.
func (r *Request) chain(ctx context.Context, tag string) (Rescued, error) {
	diffs, err := r.loaded("sha256:" + path.Base(r.Finding.Parts[0].Name))
	if err != nil {
		return Rescued{}, err
	}
	return r.load(ctx, tag, diffs, nil)
}

// written makes an image of a writable layer and what it lay on.
func (r *Request) written(ctx context.Context, tag string) (Rescued, error) {
	record := r.Finding.Parts[0]
	id, parent, err := layerdb.ReadMount(r.Tree, record.Name)
	if err != nil {
		return Rescued{}, err
	}
	var layer *scan.Object
	for _, o := range r.Finding.Parts {
		if o.Kind == scan.KindLayer && path.Base(o.Name) == id {
			layer = o
		}
	}
	if layer == nil {
		return Rescued{}, fmt.Errorf("%s: its layer is not the one that was found", record.Name)
	}
	var diffs []string
	if !archive.Whole(r.Finding.Backend) {
		if diffs, err = r.below(record, parent); err != nil {
			return Rescued{}, err
		}
	}
	content, err := archive.OpenWritten(ctx, archive.Root{Tree: r.Tree, Dir: r.Host.DataRoot}, layer.Name, r.Finding.Backend)
	if err != nil {
		return Rescued{}, err
	}
	defer content.Close()
	return r.load(ctx, tag, diffs, content)
}

// below are the diff ids of what a mount record's layer lies on. The daemon
// holds it as long as it knows the record.
func (r *Request) below(record *scan.Object, parent string) ([]string, error) {
	if err := r.old(record.Name); err != nil || parent == "" {
		return nil, err
	}
	return r.loaded(parent)
}

// loaded returns the diff ids of a chain that the daemon must have loaded.
func (r *Request) loaded(chain string) ([]string, error) {
	if driver := r.Host.Info.Driver; driver != r.Finding.Backend {
		return nil, fmt.Errorf("chain %s: is of %s, and the daemon uses %s", scan.Short(chain), r.Finding.Backend, driver)
	}
	layers, err := layerdb.Read(r.Tree, r.Finding.Backend, chain)
	if err != nil {
		return nil, err
	}
	for _, l := range layers {
		entry := scan.ChainNode(r.Finding.Backend, l.Chain).Name
		if err := r.old(entry); err != nil {
			return nil, err
		}
		if err := layerdb.Loads(r.Tree, entry); err != nil {
			return nil, fmt.Errorf("the daemon did not load it: %w", err)
		}
	}
	return layerdb.Diffs(layers), nil
}

// old checks that a record was there, as it is, when the daemon started.
func (r *Request) old(name string) error {
	info, err := r.Tree.Stat(name)
	if err != nil {
		return err
	}
	start, ok := r.Host.DaemonStart()
	if !ok || !info.Stamp.Change.Before(start) {
		return fmt.Errorf("%s: may have been put there since the daemon started: restart the daemon first", name)
	}
	return nil
}

// load gives the daemon an image of the layers with these diff ids, which it
// has, and of content if there is any.
func (r *Request) load(ctx context.Context, tag string, diffs []string, content *archive.Written) (Rescued, error) {
	names := make([]string, len(diffs))
	for i := range diffs {
		names[i] = adopt.Absent(i)
	}
	all := diffs
	if content != nil {
		all, names = append(slices.Clip(diffs), content.Diff()), append(names, contentName)
	}
	platform, err := r.Daemon.Platform(ctx)
	if err != nil {
		return Rescued{}, err
	}
	comment := "rescued by docker orphans: " + string(r.Finding.Type) + " " + scan.Printable(r.Finding.ID)
	config, err := archive.NewConfig(archive.FindBase(r.Tree, r.Finding.Backend, r.beneath(diffs)), archive.Platform(platform), all, comment, time.Now())
	if err != nil {
		return Rescued{}, err
	}
	if err := send(ctx, r.Daemon, config, adopt.Manifest(config, tag, names), content); err != nil {
		return Rescued{}, fmt.Errorf("%s: %w", tag, err)
	}
	image, err := r.Daemon.Image(ctx, tag)
	if err != nil {
		return Rescued{}, fmt.Errorf("%s: was loaded: %w", tag, err)
	}
	rescued := Rescued{Image: image.ID, Tag: tag}
	if content != nil {
		rescued.LeftOut = content.LeftOut()
	}
	return rescued, nil
}

// beneath are the diff ids of the layers that a finding lies on: those that it
// is loaded with, but for a whole copy, which hides them. As far as they can be
// read: they only tell of settings.
func (r *Request) beneath(diffs []string) []string {
	if r.Finding.Type != scan.TypeRWLayer || !archive.Whole(r.Finding.Backend) {
		return diffs
	}
	_, parent, err := layerdb.ReadMount(r.Tree, r.Finding.Parts[0].Name)
	if err != nil || parent == "" {
		return nil
	}
	layers, err := layerdb.Read(r.Tree, r.Finding.Backend, parent)
	if err != nil {
		return nil
	}
	return layerdb.Diffs(layers)
}
