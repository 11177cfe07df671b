package space

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
	"github.com/docker-orphans/docker-orphans/scan/driver"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/usage"
)

// A parcel is a part of the data root that is walked at once.
type parcel struct {
	name string
	item *Item
	own  *scan.Usage // its own inode alone: what is below it are other parcels; nil: it is walked

	extents []usage.Extent // what its files may share with others
	told    bool           // those are all
}

// A partition cuts a data root into parcels that do not overlap and leave
// nothing out: a directory that is all of one item is one, any other is its own
// inode and the parcels below.
type partition struct {
	in      *scan.Input
	g       *scan.Graph
	parts   map[string]*Item // by path: the items of findings
	items   map[string]*Item // the others, by account and name
	inner   map[string]bool  // what an item or a mount lies below
	mounts  map[string]bool
	stored  *contained // nil: no containerd's root is below
	parcels []parcel
	ledger  *Ledger
}

// newPartition prepares one. mounts are the mount points below the data root.
func newPartition(in *scan.Input, g *scan.Graph, findings []*scan.Finding, mounts []string) *partition {
	p := &partition{
		in: in, g: g, parts: map[string]*Item{}, items: map[string]*Item{}, inner: map[string]bool{}, mounts: map[string]bool{}, ledger: &Ledger{},
	}
	own := newOwner(g)
	for _, f := range findings {
		p.aside(f)
		account := own.account(f)
		if account == Records || account == Containers || account == Volumes && f.Parts[0].Kind == scan.KindVolume {
			continue // they go by where they lie
		}
		item := &Item{Account: account, Name: f.Was, Path: f.DataPath(), Finding: f, Complete: true}
		p.ledger.Items = append(p.ledger.Items, item)
		for _, o := range f.Parts {
			if f.Verdict == scan.Used && o.Kind != scan.KindLayer && o.Kind != scan.KindDownload {
				continue // a record among the others
			}
			for _, name := range o.Paths() {
				if !journal.Below(name) {
					p.parts[name] = item
					p.above(name)
				}
			}
		}
	}
	for _, name := range mounts {
		p.mounts[name] = true
		p.above(name)
	}
	return p
}

// aside adds what of a finding lies in quarantine: there it belongs to that,
// whatever it is.
func (p *partition) aside(f *scan.Finding) {
	var item *Item
	for _, o := range f.Parts {
		for _, name := range o.Paths() {
			if !journal.Below(name) {
				continue
			}
			if item == nil {
				item = &Item{Account: Quarantine, Name: f.Was, Path: name, Finding: f, Complete: true}
				p.ledger.Items = append(p.ledger.Items, item)
			}
			if name == f.DataPath() {
				item.Path = name
			}
			p.parts[name] = item
			p.above(name)
		}
	}
}

// above notes that something of its own lies below these directories.
func (p *partition) above(name string) {
	for dir := path.Dir(name); !p.inner[dir]; dir = path.Dir(dir) {
		p.inner[dir] = true
		if dir == "." {
			return
		}
	}
}

// add adds the parcels of a directory or file, which belongs to an item unless
// it or something below has its own.
func (p *partition) add(ctx context.Context, name string, item *Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.mounts[name] && name != "." {
		p.ledger.Mounts = append(p.ledger.Mounts, name)
		return nil
	}
	if own := p.parts[name]; own != nil {
		item = own
	} else if own := p.place(name); own != nil {
		item = own
	}
	if !p.inner[name] && !p.divided(name) {
		p.parcels = append(p.parcels, parcel{name: name, item: item})
		return nil
	}
	info, err := p.in.Tree.Stat(name)
	var entries []scan.Entry
	if err == nil && info.Mode.IsDir() {
		entries, err = p.in.Tree.ReadDir(name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // gone since it was listed
	case err != nil:
		item.Complete, item.Problem = false, err.Error()
		return nil
	}
	own := &scan.Usage{Bytes: info.Bytes, Inodes: 1, Complete: true}
	p.parcels = append(p.parcels, parcel{name: name, item: item, own: own})
	for _, e := range entries {
		if err := p.add(ctx, path.Join(name, e.Name), item); err != nil {
			return err
		}
	}
	return nil
}

// divided reports directories that hold several items, by where they lie.
func (p *partition) divided(name string) bool {
	if rel, ok := p.stored.below(name); ok {
		return containerd.Divided(rel)
	}
	dir, base := path.Split(name)
	switch dir {
	case "":
		return slices.Contains([]string{".", "containers", "volumes", "image", path.Dir(backend.ThinPool), journal.Dir}, base)
	case "containers/":
		return scan.IsID(base)
	}
	return false
}

// item is the one of an account and name that is not a finding.
func (p *partition) item(account Account, name, at string) *Item {
	key := string(account) + "\x00" + name
	if p.items[key] == nil {
		p.items[key] = &Item{Account: account, Name: name, Path: at, Complete: true}
		p.ledger.Items = append(p.ledger.Items, p.items[key])
	}
	return p.items[key]
}

// place is the item of what lies at a path because it lies there; nil if it
// belongs to what its directory does.
func (p *partition) place(name string) *Item {
	if rel, ok := p.stored.below(name); ok {
		return p.contained(rel, name)
	}
	elements := strings.Split(name, "/")
	switch {
	case len(elements) == 1:
		return p.top(name)
	case elements[0] == "containers":
		return p.container(elements)
	case elements[0] == "volumes" && len(elements) == 2 && name != "volumes/metadata.db" && name != "volumes/backingFsBlockDev":
		return p.item(Volumes, elements[1], name)
	case elements[0] == "image" && len(elements) == 2 && p.dormant(elements[1]):
		return p.item(Dormant, elements[1], elements[1])
	case name == journal.Reserve:
		return p.item(Quarantine, "space for the journal of a run when the disk is full", name)
	case name == backend.ThinPool && p.active(path.Dir(name)):
		return p.item(Pool, "", name)
	case p.layers(path.Dir(name)) && elements[len(elements)-1] != "l" && elements[len(elements)-1] != "backingFsBlockDev" && !p.own(name):
		return p.item(Unknown, name, name) // a layer would be a finding's, unless it came since
	}
	return nil
}

// container is the item of what is in a container's directory.
func (p *partition) container(elements []string) *Item {
	if len(elements) < 2 || !scan.IsID(elements[1]) {
		return nil
	}
	title, dir := p.g.TitleOf(scan.ContainerNode(elements[1])), "containers/"+elements[1]
	if len(elements) == 3 && (strings.HasPrefix(elements[2], elements[1]+"-json.log") || elements[2] == "local-logs") {
		return p.item(Logs, title, dir)
	}
	if len(elements) == 2 {
		return p.item(Containers, title, dir)
	}
	return nil
}

// top is the item of an entry of the data root.
func (p *partition) top(name string) *Item {
	switch name {
	case ".", "image", "network", "trust", "runtimes", "engine-id", "init", "nuke-graph-directory.sh", "containerd", "graph", "linkgraph.db":
		return p.item(Records, "", ".")
	case "containers", "rootfs":
		return p.item(Containers, "", name)
	case "volumes":
		return p.item(Volumes, "", name)
	case "buildkit", "builder":
		return p.item(BuildCache, "", name)
	case "plugins":
		return p.item(Plugins, "", name)
	case "swarm":
		return p.item(Swarm, "", name)
	case "tmp", "tmp-old":
		return p.item(Temporary, "", name)
	case journal.Dir:
		return p.item(Quarantine, "", name)
	}
	switch {
	case p.active(name):
		return p.item(Records, "", ".")
	case p.dormant(name):
		return p.item(Dormant, name, name)
	case strings.HasPrefix(name, "repositories-"), strings.HasPrefix(name, ".migration-"):
		return p.item(Records, "", ".")
	}
	return p.item(Unknown, name, name)
}

// layers reports the directory that the layers of a backend are in.
func (p *partition) layers(name string) bool {
	return slices.ContainsFunc(p.in.Backends, func(b *scan.Backend) bool { return name == b.Dir })
}

// own reports a storage driver's own record among its layers.
func (p *partition) own(name string) bool {
	return slices.ContainsFunc(p.in.Backends, func(b *scan.Backend) bool {
		return path.Dir(name) == b.Dir && b.Own != nil && b.Own(path.Base(name))
	})
}

// active reports the directory of a backend whose layers were enumerated.
func (p *partition) active(name string) bool {
	return slices.ContainsFunc(p.in.Backends, func(b *scan.Backend) bool {
		return name == b.Name || name == b.Dir || strings.HasPrefix(b.Dir, name+"/")
	})
}

// dormant reports the name of a storage driver that the daemon does not use.
func (p *partition) dormant(name string) bool {
	return driver.Named(name) != nil && !p.active(name)
}
