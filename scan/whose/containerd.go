package whose

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
)

// stored is what is known of a containerd.
type stored struct {
	*containerd.Root
	answers   map[containerd.Key]*Answer
	names     map[string][]containerd.Key // of blobs, snapshots and leases, without the digest's algorithm
	manifests map[string]*manifest        // by digest, as they were read
}

func newStored(c *containerd.Root) *stored {
	s := &stored{
		Root: c, answers: map[containerd.Key]*Answer{}, names: map[string][]containerd.Key{}, manifests: map[string]*manifest{},
	}
	for _, n := range c.Namespaces {
		for _, b := range n.Content {
			s.name(containerd.Key{Namespace: n.Name, Sort: containerd.SortBlob, Name: b.Digest})
		}
		for _, sn := range n.Snapshots {
			s.name(containerd.Key{Namespace: n.Name, Sort: containerd.SortSnapshot, Snapshotter: sn.Snapshotter, Name: sn.Key})
		}
	}
	return s
}

func (s *stored) name(key containerd.Key) {
	name := strings.TrimPrefix(key.Name, "sha256:")
	s.names[name] = append(s.names[name], key)
}

// below is an absolute path from containerd's root on.
func (s *stored) below(abs string) (rel string, ok bool) {
	switch {
	case s == nil:
		return "", false
	case abs == s.Path:
		return ".", true
	}
	return strings.CutPrefix(abs, s.Path+"/")
}

// contained answers for a path below containerd's root.
func (x *Index) contained(rel string) *Answer {
	place := containerd.PlaceOf(rel)
	a := &Answer{Name: place.Path, Root: x.stored.Path}
	switch place.What {
	case containerd.Structure:
		a.Place = "of containerd's own"
	case containerd.Database:
		a.Place = "database of containerd's metadata"
		if place.Snapshotter != "" {
			a.Place = "database of the snapshotter " + place.Snapshotter
		}
	case containerd.Temporary:
		a.Place = "temporary files of containerd"
	case containerd.IngestDir:
		x.ingest(a, place.Name)
	case containerd.Runtime:
		a.Place = "state of container " + x.g.TitleOf(scan.ContainerNode(place.Name)) + foreign(place.Namespace)
	case containerd.BlobFile:
		keys := x.stored.Links.Blob(place.Digest)
		if len(keys) == 0 {
			return a
		}
		return x.record(keys[0])
	case containerd.SnapshotDir:
		key, ok := x.stored.Links.Snapshot(place.Snapshotter, place.ID)
		if !ok {
			return a
		}
		return x.record(key)
	}
	return a
}

// mounted answers for a mount point of a container whose layers are in
// containerd (moby daemon/snapshotter/mount.go); nil for anything else.
func (x *Index) mounted(rel string) *Answer {
	elements := strings.Split(rel, "/")
	if x.stored == nil || elements[0] != "rootfs" || len(elements) < 3 {
		return nil
	}
	for _, key := range x.stored.names[elements[2]] {
		if key.Sort == containerd.SortSnapshot && key.Snapshotter == elements[1] {
			return x.record(key)
		}
	}
	return nil
}

// recorded answers for what has an id, or one that begins so.
func (x *Index) recorded(id string, exact bool) []*Answer {
	if x.stored == nil {
		return nil
	}
	keys := x.stored.names[id]
	if !exact && len(id) >= shortest {
		for name, of := range x.stored.names {
			if strings.HasPrefix(name, id) {
				keys = append(keys, of...)
			}
		}
	}
	var found []*Answer
	for _, k := range keys {
		if a := x.record(k); !slices.Contains(found, a) {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b *Answer) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// ingest answers for a directory of content that is being written: its name is
// the hash of the content store's own name for it.
func (x *Index) ingest(a *Answer, name string) {
	a.Place = "content that was being written"
	for _, n := range x.stored.Namespaces {
		for _, i := range n.Ingests {
			sum := sha256.Sum256([]byte(i.Backend))
			if i.Backend != "" && hex.EncodeToString(sum[:]) == name {
				a.Place = "content that is being written, " + i.Ref + foreign(n.Name)
			}
		}
	}
}

// record answers for a blob or a snapshot.
func (x *Index) record(key containerd.Key) *Answer {
	if a := x.stored.answers[key]; a != nil {
		return a
	}
	a := &Answer{Root: x.stored.Path, Name: "."}
	keys := []containerd.Key{key}
	if key.Sort == containerd.SortBlob {
		keys = x.stored.Links.Blob(key.Name) // of every namespace: the file is one
		algorithm, sum, _ := strings.Cut(key.Name, ":")
		a.Name = path.Join("io.containerd.content.v1.content/blobs", algorithm, sum)
		x.blob(a, keys)
	} else {
		if id, ok := x.stored.Links.Number(key); ok {
			a.Name = path.Join("io.containerd.snapshotter.v1."+key.Snapshotter, "snapshots", strconv.FormatUint(id, 10))
		}
		x.snapshot(a, key)
	}
	x.keepers(a, keys)
	a.sort()
	for _, k := range keys {
		x.stored.answers[k] = a
	}
	return a
}

// keepers adds who needs it, but for the images that it is a layer of.
func (x *Index) keepers(a *Answer, keys []containerd.Key) {
	named, seen := false, map[string]bool{}
	for _, k := range x.stored.Links.Users(keys...) {
		if k.Sort == containerd.SortBlob || k.Sort == containerd.SortSnapshot {
			continue
		}
		named = true
		if k.Sort == containerd.SortContainer && containerd.IsDocker(k.Namespace) || k.Sort == containerd.SortImage && len(a.Images) > 0 {
			continue // of Docker's container the lease says it
		}
		who, container := x.keeper(k)
		switch {
		case seen[who]:
		case container:
			a.Containers = append(a.Containers, who)
		default:
			a.Others = append(a.Others, who)
		}
		seen[who] = true
	}
	if !named {
		a.Record += "; unsure: no image, container or lease in containerd names it"
	}
}

// keeper is the name of an image, or of whom a lease is.
func (x *Index) keeper(k containerd.Key) (name string, container bool) {
	switch k.Sort {
	case containerd.SortImage:
		return "image " + title(k), false
	case containerd.SortContainer:
		return "container " + k.Name + foreign(k.Namespace), false
	}
	lease := x.stored.Links.Lease(k)
	switch lease.Owner() {
	case containerd.ContainerOwner:
		if c := scan.ContainerNode(k.Name); x.g.Has(c) {
			return x.g.TitleOf(c), true
		}
		name = "lease " + scan.Short(k.Name)
	case containerd.BuildOwner:
		name = "build record " + strings.TrimSuffix(strings.TrimSuffix(k.Name, "-variants"), "-view")
	case containerd.ImageOwner:
		name = "image " + x.g.TitleOf(scan.ImageNode(lease.Image()))
	default:
		name = "lease " + k.Name
	}
	return name + foreign(k.Namespace), false
}

// foreign says which namespace it is if it is not Docker's.
func foreign(namespace string) string {
	if containerd.IsDocker(namespace) {
		return ""
	}
	return " (namespace " + namespace + ")"
}

// snapshot says which layer it is: by its place in the chain of an image's config,
// or by whose lease lists it.
func (x *Index) snapshot(a *Answer, key containerd.Key) {
	links := x.stored.Links
	a.Record = "snapshot " + scan.Short(strings.TrimPrefix(key.Name, "sha256:")) + foreign(key.Namespace)
	for _, k := range links.From(key) {
		if k.Sort == containerd.SortLease && links.Lease(k).Owner() == containerd.ContainerOwner {
			x.written(a, key, scan.ContainerNode(k.Name))
		}
	}
	for _, top := range links.Users(key) {
		if top.Sort == containerd.SortSnapshot {
			x.layersOf(a, x.depth(key), top)
		}
	}
	if len(a.Images) > 0 {
		a.Record = layerRecord
	}
}

// written says that it is what a container wrote, or was made for it.
func (x *Index) written(a *Answer, key containerd.Key, c scan.Node) {
	switch {
	case !x.g.Has(c):
	case scan.IsInitID(key.Name):
		a.Record = "init layer of container " + x.g.TitleOf(c)
	default:
		a.Record = "writable layer of container " + x.g.TitleOf(c)
	}
}

// layersOf adds the images whose config ends in a snapshot: which has the layer of
// that number below, or is it.
func (x *Index) layersOf(a *Answer, number int, top containerd.Key) {
	for _, config := range x.stored.Links.From(top) {
		if config.Sort != containerd.SortBlob {
			continue
		}
		of := x.depth(top)
		for _, user := range x.stored.Links.Users(config) {
			if user.Sort == containerd.SortImage {
				a.layer(Layer{Image: title(user), Number: number, Of: of, CreatedBy: x.createdBy(config.Name, number, of)})
			}
		}
	}
}

// What a record of an image's layer is.
const (
	layerRecord  = "layer"
	packedRecord = "packed layer"
)

// depth is the number of a snapshot in its chain, from 1.
func (x *Index) depth(key containerd.Key) int {
	n := 1
	for seen := map[containerd.Key]bool{key: true}; ; n++ {
		parent, ok := x.stored.Links.Parent(key)
		if !ok || seen[parent] {
			return n
		}
		seen[parent], key = true, parent
	}
}

// layer adds an image of which it is a layer, once.
func (a *Answer) layer(l Layer) {
	if !slices.ContainsFunc(a.Images, func(b Layer) bool { return b.Image == l.Image }) {
		a.Images = append(a.Images, l)
	}
}

// title is an image as people name it.
func title(image containerd.Key) string {
	name := strings.TrimPrefix(strings.TrimPrefix(image.Name, "docker.io/"), "library/")
	return name + foreign(image.Namespace)
}

// record is the text of a record.
func (a *Answer) record() string {
	what, rest, _ := strings.Cut(a.Record, ";")
	if len(a.Images) > 0 && (what == layerRecord || what == packedRecord) {
		what = strings.TrimSuffix(what, layerRecord) + a.images()
	}
	if rest != "" {
		what = fmt.Sprintf("%s;%s", what, rest)
	}
	return what
}
