// Package catalog finds what an image can be made of in a data root by what a
// person calls it: images, chains of registered layers, and what containers
// wrote. It reads the records of every storage driver, whether a daemon uses it
// or not, and judges nothing: whoever reads needs no proof.
package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/driver"
)

// maxFile bounds a config, and the file of names.
const maxFile = 16 << 20

// A Kind is what sort of thing an image can be made of.
type Kind string

// The kinds. Chains and mount records are named as the types of findings are
// that they may be.
const (
	Image Kind = "image"
	Chain Kind = Kind(scan.TypeImageLayer)
	Mount Kind = Kind(scan.TypeRWLayer)
)

// A Thing is one that an image can be made of.
type Thing struct {
	Kind     Kind
	ID       string   // an image's and a chain's with its "sha256:"; a mount record's name
	Backends []string // the storage drivers that have it
	Tags     []string // by which an image was asked for, as the docker CLI shows them
}

// String names the thing for a person.
func (t *Thing) String() string {
	return string(t.Kind) + ":" + scan.Printable(strings.TrimPrefix(t.ID, "sha256:")) + " of " + strings.Join(t.Backends, " and ")
}

// Short is String with ids cut as tables show them.
func (t *Thing) Short() string { return string(t.Kind) + " " + scan.Printable(scan.Short(t.ID)) }

// A Catalog is what the storage drivers have in a data root.
type Catalog struct {
	tree   scan.Tree
	stores []*store
}

// A store is what one driver has.
type store struct {
	driver string
	tags   map[string]map[string]string // repository → name → image id
	ids    map[Kind][]string            // without "sha256:"
}

// Read reads the records of all storage drivers in a data root, or of one.
// Those whose layers are files come first.
func Read(tree scan.Tree, only string) (*Catalog, error) {
	c := &Catalog{tree: tree}
	if only != "" && driver.Named(only) == nil {
		return nil, fmt.Errorf("no such storage driver: %s", only)
	}
	for _, files := range []bool{true, false} {
		for i := range driver.All {
			d := &driver.All[i]
			if (d.Layers != "") != files || only != "" && only != d.Name {
				continue
			}
			s, err := readStore(tree, d)
			if err != nil {
				return nil, err
			}
			if s != nil {
				c.stores = append(c.stores, s)
			}
		}
	}
	if len(c.stores) > 0 {
		return c, nil
	}
	if only != "" {
		return nil, fmt.Errorf("there are no records of the storage driver %s: no %s", only, driver.Named(only).Store())
	}
	if _, err := tree.Stat("graph"); err == nil {
		return nil, errors.New("graph: the data root is of a Docker before 1.10, which does not keep what archives are made of")
	}
	return nil, errors.New("image: there are no records of any storage driver")
}

// readStore reads what a driver has, nil if it has nothing.
func readStore(tree scan.Tree, d *driver.Driver) (*store, error) {
	if _, err := tree.Stat(d.Store()); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	s := &store{driver: d.Name, ids: map[Kind][]string{}}
	for kind, dir := range map[Kind]string{
		Image: "/imagedb/content/sha256", Chain: "/layerdb/sha256", Mount: "/layerdb/mounts",
	} {
		entries, err := tree.ReadDir(d.Store() + dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if scan.IsID(e.Name) || kind == Mount {
				s.ids[kind] = append(s.ids[kind], e.Name)
			}
		}
	}
	return s, s.readTags(tree, d.Store()+"/repositories.json")
}

// readTags reads the names of images.
func (s *store) readTags(tree scan.Tree, name string) error {
	data, err := tree.ReadFile(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // never written as long as no image has a name
	}
	if err != nil {
		return err
	}
	var file struct {
		Repositories map[string]map[string]string
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.tags = file.Repositories
	return nil
}

// Names lists the names of all images, sorted.
func (c *Catalog) Names() []string {
	var names []string
	for _, s := range c.stores {
		for _, repository := range s.tags {
			for name := range repository {
				if !strings.Contains(name, "@") {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Find returns what a text names: all images of a repository, as `docker save`
// does, or one thing by a name, an id, or the beginning of an id. With "TYPE:"
// before it, it is the id of a finding of that type.
func (c *Catalog) Find(text string) ([]*Thing, error) {
	kinds, id := []Kind{Image, Chain, Mount}, text
	before, after, ok := strings.Cut(text, ":")
	if ok && slices.Contains(kinds, Kind(before)) {
		kinds, id = []Kind{Kind(before)}, after
	} else if found, err := c.named(text); len(found) > 0 || err != nil {
		return found, err
	}
	id = strings.TrimPrefix(id, "sha256:")
	for _, match := range []func(*store, Kind, string) bool{
		func(_ *store, _ Kind, is string) bool { return is == id },
		func(_ *store, _ Kind, is string) bool { return id != "" && strings.HasPrefix(is, id) },
		func(_ *store, kind Kind, is string) bool {
			return kind == Mount && id != "" && c.containerName(is) == id
		},
	} {
		found := c.matching(kinds, match)
		switch {
		case len(found) == 1:
			return found, nil
		case len(found) > 1:
			return nil, ambiguous(text, found)
		}
	}
	return nil, fmt.Errorf("no such image, registered layer or container: %s", scan.Printable(text))
}

// matching are the things of which a store and an id match, each once.
func (c *Catalog) matching(kinds []Kind, match func(*store, Kind, string) bool) []*Thing {
	var found []*Thing
	for _, kind := range kinds {
		for _, s := range c.stores {
			for _, id := range s.ids[kind] {
				if match(s, kind, id) {
					found = add(found, kind, id, s.driver)
				}
			}
		}
	}
	return found
}

// add adds a thing that a driver has to those that were found.
func add(found []*Thing, kind Kind, id, driver string) []*Thing {
	if kind != Mount {
		id = "sha256:" + id
	}
	for _, t := range found {
		if t.Kind == kind && t.ID == id {
			t.Backends = append(t.Backends, driver)
			return found
		}
	}
	return append(found, &Thing{Kind: kind, ID: id, Backends: []string{driver}})
}

// containerName is the name of the container that a mount record is of; "" if
// it is not known.
func (c *Catalog) containerName(id string) string {
	var config struct{ Name string }
	data, err := c.tree.ReadFile("containers/"+id+"/config.v2.json", maxFile)
	if err != nil || json.Unmarshal(data, &config) != nil {
		return "" // a vanished container has none; others have their id
	}
	return strings.TrimPrefix(config.Name, "/")
}

// named are the images that a text names, if it is a name of any.
func (c *Catalog) named(text string) ([]*Thing, error) {
	ref, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return nil, nil // an id, then
	}
	var found []*Thing
	repository := reference.FamiliarName(ref)
	if reference.IsNameOnly(ref) {
		var all []string
		for _, s := range c.stores {
			for name := range s.tags[repository] {
				if !strings.Contains(name, "@") {
					all = append(all, name)
				}
			}
		}
		slices.Sort(all)
		for _, name := range slices.Compact(all) {
			t, err := c.image(repository, name)
			if err != nil {
				return nil, err
			}
			found = join(found, t)
		}
		return found, nil
	}
	name := reference.FamiliarString(ref)
	if digested, ok := ref.(reference.Digested); ok { // a tag beside it says nothing
		name = repository + "@" + digested.Digest().String()
	}
	t, err := c.image(repository, name)
	if err != nil || t == nil {
		return nil, err
	}
	return []*Thing{t}, nil
}

// image is the image of a name, nil if there is none.
func (c *Catalog) image(repository, name string) (*Thing, error) {
	var found []*Thing
	for _, s := range c.stores {
		if id, ok := s.tags[repository][name]; ok {
			found = add(found, Image, strings.TrimPrefix(id, "sha256:"), s.driver)
		}
	}
	switch {
	case len(found) == 0:
		return nil, nil
	case len(found) > 1:
		return nil, ambiguous(name, found)
	}
	if !strings.Contains(name, "@") {
		found[0].Tags = []string{name}
	}
	return found[0], nil
}

// join adds an image, or its name if it is there already.
func join(found []*Thing, t *Thing) []*Thing {
	for _, is := range found {
		if is.Kind == t.Kind && is.ID == t.ID {
			is.Tags = append(is.Tags, t.Tags...)
			return found
		}
	}
	return append(found, t)
}

// Join is one list of several, with each thing once.
func Join(lists ...[]*Thing) []*Thing {
	var all []*Thing
	for _, list := range lists {
		for _, t := range list {
			all = join(all, t)
		}
	}
	for _, t := range all {
		slices.Sort(t.Tags)
		t.Tags = slices.Compact(t.Tags)
	}
	return all
}

// ambiguousShown is how many of the things that a name may mean an error lists.
const ambiguousShown = 5

func ambiguous(text string, found []*Thing) error {
	var names []string
	for i, t := range found {
		if i == ambiguousShown {
			names = append(names, fmt.Sprintf("and %d more", len(found)-i))
			break
		}
		names = append(names, t.String())
	}
	return fmt.Errorf("ambiguous: %s: it may be %s", scan.Printable(text), strings.Join(names, ", "))
}
