package scan

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// A Kind is what sort of thing a [Node] names.
type Kind uint8

// The kinds of nodes. Those of things on disk are named by their path below
// the data root; the others by the id that the daemon uses.
const (
	KindLayer      Kind = iota + 1 // what a graphdriver keeps for one id: "overlay2/<id>"
	KindLink                       // a short link: "overlay2/l/<26 characters>"
	KindPart                       // what aufs has under a layer's name beside it: "aufs/layers/<id>", "aufs/mnt/<id>", "aufs/diff/<id>-removing"
	KindChain                      // a layerdb entry: "image/<driver>/layerdb/sha256/<chain>"
	KindMount                      // a mount record: "image/<driver>/layerdb/mounts/<name>"
	KindRemoving                   // a layerdb entry that is being released: "…/sha256/<chain>-<x>-removing"
	KindDownload                   // a temporary file or directory: "tmp/<name>", "…/layerdb/tmp/<name>", "plugins/<id>-removing", "containers/<id>/.tmp-<name>"
	KindContainer                  // a container's directory: "containers/<id>"
	KindImage                      // an image id, "sha256:<hex>"; before 1.10 the digits alone
	KindVolume                     // a volume of the local driver: "volumes/<name>", or what is known of one: "volumes/<name>/opts.json"
	KindBuild                      // a build record or a snapshot of BuildKit
	KindMemory                     // what the daemon holds in memory only
	KindBackend                    // all that a storage driver has that the daemon does not use: "<driver>", "image/<driver>"
	KindRoot                       // the data root of another daemon: "100000.100000", "volumes/<name>/_data"
	KindMountPoint                 // where a container was mounted: "rootfs/<snapshotter>/<id>"
	KindCache                      // the build cache of Docker before 20.10: "builder"
	KindRecord                     // a record that names no layer: the config of an image whose layers are gone, an empty layerdb entry
)

var kindNames = [...]string{
	"", "layer", "link", "part", "chain", "mount", "removing", "download", "container", "image", "volume", "build", "memory", "backend", "root",
	"mount point", "cache", "record",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// onDisk reports whether nodes of this kind are directories of the data root
// that must be there if anything live names them.
func (k Kind) onDisk() bool {
	return k == KindLayer || k == KindChain || k == KindMount
}

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) {
	if k == 0 || int(k) >= len(kindNames) {
		return nil, fmt.Errorf("kind %d: unknown", uint8(k))
	}
	return []byte(kindNames[k]), nil
}

// UnmarshalText reads what [Kind.MarshalText] wrote.
func (k *Kind) UnmarshalText(text []byte) error {
	for i, name := range kindNames {
		if i > 0 && name == string(text) {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("kind %q: unknown", text)
}

// A Node is the key of one thing. It is comparable.
type Node struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
}

func (n Node) String() string { return n.Kind.String() + " " + n.Name }

// A Stamp is what a file looked like when it was listed (statx). Device and
// mount id hold for one boot only. Birth is zero where the kernel or the file
// system does not tell it; Mount is zero where the kernel does not.
//
// The top directory of each subvolume of a btrfs has the same inode, and all
// times of the subvolume that it was made from. Its Birth is the subvolume's
// own.
type Stamp struct {
	Device uint64    `json:"device"`
	Inode  uint64    `json:"inode"`
	Mount  uint64    `json:"mount,omitempty"`
	Birth  time.Time `json:"birth,omitzero"`
	Change time.Time `json:"change"` // ctime: no program can set it
}

// Made is the latest moment at which the file can have been made: its birth,
// or where that is unknown its last change. It is never the modification
// time, which archives and snapshots carry over.
func (s Stamp) Made() time.Time {
	if s.Birth.IsZero() {
		return s.Change
	}
	return s.Birth
}

// A Medium says what an object is made of, hence how it goes away.
type Medium string

// The media of the backends so far.
const (
	Directory  Medium = "directory"
	File       Medium = "file"
	Subvolume  Medium = "subvolume"   // of a btrfs: a directory to everybody, but for how it begins and how it goes
	ThinDevice Medium = "thin device" // of a pool of the device mapper
	Dataset    Medium = "dataset"     // of a pool of zfs
)

// Apart reports whether what is in such an object lies apart from the data
// root, where no walk gets to: its size and its last change are not told by
// files.
func (m Medium) Apart() bool { return m == ThinDevice || m == Dataset }

// A Handle is how its medium knows an object that lies apart.
type Handle struct {
	Name string `json:"name"` // the number of a thin device in its pool; the whole name of a dataset
	Made uint64 `json:"made"` // what tells it from another of that name: the pool's transaction that made the device; the guid of the dataset
	// Origin is the snapshot that a dataset began as; "" for none.
	Origin string `json:"origin,omitempty"`
	// Foreign says that the pool is not made of the data root's own files, so
	// that nothing there tells whose the device is.
	Foreign bool `json:"foreign,omitempty"`
}

// An Object is a node that takes space on disk.
type Object struct {
	Node
	Backend string `json:"backend,omitempty"` // name of the [Backend] it belongs to; "" for the daemon's own
	Medium  Medium `json:"medium"`
	Stamp   Stamp  `json:"stamp"`

	Unrecognised string `json:"unrecognised,omitempty"` // why the name or form is not one we know; "" if it is

	Notes *Notes `json:"notes,omitempty"` // nil for most: see [Object.Note]
	Usage *Usage `json:"usage,omitempty"` // nil until walked
}

// Notes are what is known of few objects: a host has a million of them, and
// what each has takes memory.
type Notes struct {
	Paths []string `json:"paths,omitempty"` // below the data root, the main one first, where its name is not its one path: see [Object.Paths]
	// Created is when its medium says that it was made, where the stamp does
	// not tell: see [Backend].Created. Nil for others; zero if the medium does
	// not tell either.
	Created   *time.Time `json:"created,omitempty"`
	Subvolume uint64     `json:"subvolume,omitempty"` // its number: no other of the file system ever has it
	Handle    *Handle    `json:"handle,omitempty"`    // of media that lie apart
	Missing   string     `json:"missing,omitempty"`   // the data that this record names and that is not there
	Was       string     `json:"was,omitempty"`       // what a person would call it, where that can still be told
	Origin    string     `json:"origin,omitempty"`    // a registry that has it: a repository's name
	Labels    Labels     `json:"labels,omitzero"`
	// Of a storage driver that the daemon does not use: the newest change of
	// its records and of its own directories, and what is in it.
	Recorded *time.Time `json:"recorded,omitempty"`
	Contents *Contents  `json:"contents,omitempty"`
	Volume   *Volume    `json:"volume,omitempty"` // of volumes
}

// Note returns the object's notes to read; they are empty where it has none.
func (o *Object) Note() Notes {
	if o.Notes == nil {
		return Notes{}
	}
	return *o.Notes
}

// Annotate returns the object's notes to write.
func (o *Object) Annotate() *Notes {
	if o.Notes == nil {
		o.Notes = &Notes{}
	}
	return o.Notes
}

// Renamed says that the object may have its name only since its last change,
// however old it is.
func (o *Object) Renamed() {
	changed := o.Stamp.Change
	o.Annotate().Created = &changed
}

// Paths lists where the object is below the data root, the main path first.
func (o *Object) Paths() []string {
	if paths := o.Note().Paths; len(paths) > 0 {
		return paths
	}
	return []string{o.Name}
}

// Path is the main one of the object's paths.
func (o *Object) Path() string {
	if paths := o.Note().Paths; len(paths) > 0 {
		return paths[0]
	}
	return o.Name
}

// Made is the latest moment at which the object can have been made.
func (o *Object) Made() time.Time {
	if created := o.Note().Created; created != nil {
		return *created
	}
	return o.Stamp.Made()
}

// untold reports an object of which nothing tells when it was made.
func (o *Object) untold() bool {
	created := o.Note().Created
	return created != nil && created.IsZero()
}

// Usage is what a walk of an object's paths found.
type Usage struct {
	Bytes    int64     `json:"bytes"` // what would be free without it: st_blocks × 512 of each inode that has no name elsewhere
	Inodes   int64     `json:"inodes"`
	Newest   time.Time `json:"newest"`            // newest change (ctime) at or below
	Complete bool      `json:"complete"`          // false: some part could not be read; Bytes is a lower bound
	AtMost   bool      `json:"atMost,omitempty"`  // Bytes may be others' too: what a subvolume shares with its origin, where no quota group tells
	Problem  string    `json:"problem,omitempty"` // the first thing that could not be read
	// MountsOnly says that nothing was left out but other file systems that are
	// mounted below.
	MountsOnly bool     `json:"mountsOnly,omitempty"`
	Telling    []string `json:"telling,omitempty"`  // file names that tell of data nobody can make again
	OpenedBy   string   `json:"openedBy,omitempty"` // a process that has a file below open

	// Shared are the inodes that have names elsewhere too, by their keys.
	// [Measure] counts them where those names are below what is measured with
	// it, and takes the list away.
	Shared []SharedFile `json:"-"`
}

// Labels are an object's labels, or those of its owner.
type Labels struct {
	// Known is false when the record that would tell (a container's or an
	// image's config) is gone: a label may have been there.
	Known  bool              `json:"known"`
	Values map[string]string `json:"values,omitempty"`
	// More are further values, of what carries the labels of several owners.
	More map[string][]string `json:"more,omitempty"`
	// From are the records and answers that they were read from.
	From []string `json:"from,omitempty"`
}

// Have reports whether there is a label of this key, or of this key and value.
func (l *Labels) Have(key string, value *string) bool {
	v, ok := l.Values[key]
	return ok && (value == nil || v == *value || slices.Contains(l.More[key], *value))
}

// AddAll adds the labels that a record or an answer has.
func (l *Labels) AddAll(values map[string]string, from string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		l.Add(key, values[key])
	}
	if len(values) > 0 && !slices.Contains(l.From, from) {
		l.From = append(l.From, from)
	}
}

// Add adds a label of one more owner.
func (l *Labels) Add(key, value string) {
	if l.Values == nil {
		l.Values = map[string]string{}
	}
	if v, ok := l.Values[key]; !ok {
		l.Values[key] = value
	} else if v != value && !slices.Contains(l.More[key], value) {
		if l.More == nil {
			l.More = map[string][]string{}
		}
		l.More[key] = append(l.More[key], value)
	}
}

// A Why says what a reference is, and so where it was read.
type Why uint8

// The references. Each comment names the file or call that it comes from.
const (
	ByCacheID   Why = iota + 1 // a layerdb entry's cache-id
	ByParent                   // a layerdb entry's, a mount record's or an old image's parent
	ByMountID                  // a mount record's mount-id
	ByInitID                   // a mount record's init-id
	ByInitName                 // <id> and <id>-init are one container's
	ByLower                    // a layer's lower or lower-id file
	ByLink                     // a short link's target
	ByShortName                // a layer that is gone has left this short link
	ByDiffIDs                  // rootfs.diff_ids of an image's config
	ByImage                    // Image of a container's config
	ByRWLayer                  // layerdb/mounts/<container id>
	ByGraph                    // GraphDriver.Data of the API's inspect
	BySnapshot                 // a BuildKit database
	ByVolume                   // a volume's data directory, a symlink or config.json
	ByPath                     // a path in a container's config
	ByLinkFile                 // a layer's link file, where the short link itself is gone
	BySameID                   // before 1.10 an image's and a container's layer has its id
	ByDriver                   // Driver of a container's config; a storage driver's tree and its image store
	ByName                     // aufs keeps it under the layer's name; an image's config and what is kept of it beside
	ByConfig                   // an image and its config, and what that names
)

var whyNames = [...]string{
	"", "cache-id", "parent", "mount-id", "init-id", "-init", "lower", "link", "short link", "diff_ids", "image", "layerdb/mounts",
	"GraphDriver", "buildkit", "volume", "path", "link file", "same id", "driver", "name", "config",
}

func (w Why) String() string {
	if int(w) < len(whyNames) {
		return whyNames[w]
	}
	return fmt.Sprintf("why(%d)", uint8(w))
}

// MarshalText writes the reference's name.
func (w Why) MarshalText() ([]byte, error) {
	if w == 0 || int(w) >= len(whyNames) {
		return nil, fmt.Errorf("reference %d: unknown", uint8(w))
	}
	return []byte(whyNames[w]), nil
}

// UnmarshalText reads what [Why.MarshalText] wrote.
func (w *Why) UnmarshalText(text []byte) error {
	for i, name := range whyNames {
		if i > 0 && name == string(text) {
			*w = Why(i)
			return nil
		}
	}
	return fmt.Errorf("reference %q: unknown", text)
}

// owns reports whether the two ends of such a reference are one thing: a
// record and the data that it describes stand and fall together (rule 16).
func (w Why) owns() bool {
	switch w {
	case ByCacheID, ByMountID, ByInitID, ByInitName, ByDriver, ByName:
		return true
	}
	return false
}

// Leads reports whether such a reference goes from a short link to its layer.
func (w Why) Leads() bool { return w == ByLink || w == ByLinkFile }

// A Ref is a reference: From needs To.
type Ref struct {
	From Node `json:"from"`
	To   Node `json:"to"`
	Why  Why  `json:"why"`
}

// A Mark is a fact about one node that does not come from another node: that
// it is live, held or kept.
type Mark struct {
	Node    Node    `json:"node"`
	Verdict Verdict `json:"verdict"` // Used, Held or Kept
	What    string  `json:"what"`    // what says so, in a person's words
	Where   string  `json:"where"`   // where it was read
}
