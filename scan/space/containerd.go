package space

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
)

// contained tells which account what lies below containerd's root belongs to.
type contained struct {
	at       string // containerd's root below what is walked; "" if that is it
	links    *containerd.Links
	accounts map[containerd.Key]Account
}

// contain finds out what needs each record. What an image needs is the images',
// else it is a container's or a build's, in this order.
func contain(c *containerd.Root, in *scan.Input) *contained {
	own := &contained{at: c.Below, links: c.Links, accounts: map[containerd.Key]Account{}}
	var images, containers, builds []containerd.Key
	for _, n := range c.Namespaces {
		if !containerd.IsDocker(n.Name) {
			continue
		}
		for _, i := range n.Images {
			images = append(images, containerd.Key{Namespace: n.Name, Sort: containerd.SortImage, Name: i.Name})
		}
		for i := range n.Leases {
			key := containerd.Key{Namespace: n.Name, Sort: containerd.SortLease, Name: n.Leases[i].ID}
			switch owner := n.Leases[i].Owner(); {
			case owner == containerd.ImageOwner && hasImage(in, n.Leases[i].Image()):
				images = append(images, key)
			case owner == containerd.BuildOwner:
				builds = append(builds, key)
			case owner == containerd.ContainerOwner && hasContainer(in.Tree, key.Name):
				containers = append(containers, key)
				for _, sn := range n.Leases[i].Snapshots {
					own.accounts[containerd.Key{Namespace: n.Name, Sort: containerd.SortSnapshot, Snapshotter: sn.Snapshotter, Name: sn.Key}] = WritableLayers
				}
			}
		}
	}
	own.mark(Images, images)
	own.mark(Images, containers) // layers of a container whose image is gone
	own.mark(BuildCache, builds)
	return own
}

func (c *contained) mark(account Account, keys []containerd.Key) {
	for _, k := range c.links.Needs(keys...) {
		if c.accounts[k] == "" {
			c.accounts[k] = account
		}
	}
}

// hasContainer reports whether the data root has a container.
func hasContainer(tree scan.Tree, id string) bool {
	_, err := tree.Stat("containers/" + id)
	return !errors.Is(err, fs.ErrNotExist)
}

// hasImage reports whether the data root has an image.
func hasImage(in *scan.Input, id string) bool {
	for _, b := range in.Backends {
		_, err := in.Tree.Stat("image/" + b.Name + "/imagedb/content/sha256/" + strings.TrimPrefix(id, "sha256:"))
		if !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// below is a name from containerd's root on.
func (c *contained) below(name string) (rel string, ok bool) {
	switch {
	case c == nil:
		return "", false
	case c.at == "":
		return name, true
	case name == c.at:
		return ".", true
	}
	return strings.CutPrefix(name, c.at+"/")
}

// contained is the item of what lies below containerd's root.
func (p *partition) contained(rel, name string) *Item {
	place := containerd.PlaceOf(rel)
	switch place.What {
	case containerd.Structure, containerd.Database:
		return p.item(Records, "", ".")
	case containerd.Runtime:
		return p.item(Containers, "", path.Dir(name))
	case containerd.Temporary, containerd.IngestDir:
		return p.item(Temporary, path.Base(name), name)
	case containerd.BlobFile:
		return p.record(name, p.stored.links.Blob(place.Digest)...)
	case containerd.SnapshotDir:
		if key, ok := p.stored.links.Snapshot(place.Snapshotter, place.ID); ok {
			return p.record(name, key)
		}
		return p.record(name)
	}
	return p.item(Unknown, name, name)
}

// record is the item of a blob or a snapshot, of which each namespace may have a
// record.
func (p *partition) record(name string, keys ...containerd.Key) *Item {
	account, other := NotJudged, ""
	docker := len(keys) == 0
	for _, k := range keys {
		if own := p.stored.accounts[k]; own != "" {
			account = own
			break
		}
		if containerd.IsDocker(k.Namespace) {
			docker = true
		} else {
			other = k.Namespace
		}
	}
	if account == NotJudged && !docker {
		return p.item(Namespaces, other, path.Dir(name))
	}
	item := &Item{Account: account, Name: path.Base(name), Path: name, Stored: true, Complete: true}
	p.ledger.Items = append(p.ledger.Items, item)
	return item
}
