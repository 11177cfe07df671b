package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/driver"
)

// A stock is a reading of the images and records of a driver that the daemon
// does not use. It tells a person what is there and judges nothing: what cannot
// be read is said, and is no reason to believe that the daemon uses it.
type stock struct {
	in     *scan.Input
	d      *driver.Driver
	found  scan.Contents
	labels scan.Labels
	ids    []string          // of layers
	chains map[string]string // chain id → what of it is gone; "" if nothing is
}

func (s *stock) read(ctx context.Context) error {
	s.labels.Known = true
	s.chains = map[string]string{}
	tags, err := s.tags()
	if err != nil {
		s.unread(err)
	}
	content := s.d.Store() + "/imagedb/content/sha256"
	entries, err := s.in.Tree.ReadDir(content)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("the records of its images are gone")
	}
	if err != nil {
		s.unread(err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if scan.IsID(e.Name) {
			s.image(content, e.Name, tags["sha256:"+e.Name])
			delete(tags, "sha256:"+e.Name)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(tags)) {
		s.labels.Known = false
		s.found.Images = append(s.found.Images, scan.Content{ID: id, Name: tags[id], Lost: "its config is gone"})
	}
	slices.SortFunc(s.found.Images, func(a, b scan.Content) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	for _, i := range s.found.Images {
		if i.Lost != "" {
			s.lose("image " + i.Name + ": " + i.Lost)
		}
	}
	return s.mounts(ctx)
}

// lose notes what going back would not find. The first says it.
func (s *stock) lose(what string) { s.found.Lost = cmp.Or(s.found.Lost, what) }

// unread notes that records cannot be read, which may have told of labels.
func (s *stock) unread(err error) {
	s.lose(err.Error())
	s.labels.Known = false
}

// tags reads the first name of each image that has one.
func (s *stock) tags() (map[string]string, error) {
	data, err := s.in.Tree.ReadFile(s.d.Store()+"/repositories.json", maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // never written as long as no image has a name
	}
	var file struct{ Repositories map[string]map[string]string }
	if err == nil {
		err = json.Unmarshal(data, &file)
	}
	names := map[string]string{}
	for _, repository := range file.Repositories {
		for tag, id := range repository {
			if old, ok := names[id]; !strings.Contains(tag, "@") && (!ok || tag < old) {
				names[id] = scan.Printable(tag)
			}
		}
	}
	return names, err
}

// image reads one image and looks for its layers.
func (s *stock) image(dir, hex, tag string) {
	image := scan.Content{ID: "sha256:" + hex, Name: cmp.Or(tag, scan.Short(hex))}
	name := dir + "/" + hex
	config, err := readImage(s.in, name, hex)
	if err != nil {
		image.Lost = err.Error()
		s.labels.Known = false
	} else {
		image.Date = s.created(name)
		s.labels.AddAll(config.Config.Labels, name)
		for _, chain := range chainIDs(config.RootFS.DiffIDs) {
			image.Lost = cmp.Or(image.Lost, s.chain(chain))
		}
	}
	s.found.Images = append(s.found.Images, image)
}

// created is when an image was made, as far as its config tells.
func (s *stock) created(name string) time.Time {
	var config struct{ Created time.Time }
	data, err := s.in.Tree.ReadFile(name, maxConfig)
	if err != nil || json.Unmarshal(data, &config) != nil {
		return time.Time{}
	}
	return config.Created
}

// chain says what of a registered layer is gone.
func (s *stock) chain(chain string) string {
	lost, ok := s.chains[chain]
	if ok {
		return lost
	}
	id, err := s.in.Word(scan.ChainNode(s.d.Name, chain).Name+"/cache-id", maxWord)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		lost = "layer " + scan.Short(chain) + " has no record"
	case err != nil:
		lost = err.Error()
	case !scan.IsLayerID(id):
		lost = fmt.Sprintf("cache-id %q of layer %s is no layer's id", id, scan.Short(chain))
	default:
		lost = s.layer(id)
	}
	s.chains[chain] = lost
	return lost
}

// layer notes a layer's id and says whether its directory is gone.
func (s *stock) layer(id string) string {
	s.ids = append(s.ids, id)
	if s.d.Layers == "" {
		return "" // no directory
	}
	_, err := s.in.Tree.Stat(path.Join(s.d.Layers, id))
	if errors.Is(err, fs.ErrNotExist) {
		return "layer " + s.d.Layers + "/" + scan.Short(id) + " is gone"
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// mounts notes the layers that mount records name: a container may run on one,
// though the daemon does not know it any more. An id that cannot be read is an
// error, for what is mounted of it would not be recognised.
func (s *stock) mounts(ctx context.Context) error {
	dir := s.d.Store() + "/layerdb/mounts"
	entries, err := s.in.Tree.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, file := range []string{"mount-id", "init-id"} {
			id, err := s.in.Word(path.Join(dir, e.Name, file), maxWord)
			switch {
			case err == nil && scan.IsLayerID(id):
				s.ids = append(s.ids, id)
			case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, scan.ErrEmpty):
				return err
			}
		}
	}
	return nil
}
