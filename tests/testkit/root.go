// Package testkit builds data roots for tests from a few words, so that a
// test reads like a drawing of what it is about.
//
// A root file is txtar: a comment, a section "root" with one statement a
// line, and for each storage driver a section "want DRIVER" with what a scan
// must find. The statements:
//
//	image NAME: LAYER...              an image with a tag, its layers, their records
//	container NAME IMAGE              a stopped container with its layers and records
//	layer NAME [on LAYER...]          a layer without any record
//	build NAME [on LAYER...]          the same with an id as BuildKit makes them
//	buildkit [NAME...]                the databases of BuildKit, naming these build layers
//	volume NAME ["ROW"]               a volume with a file, and the row that the daemon has of it
//	write PATH "CONTENT"              a file (Go quoting), with its directories
//	link PATH -> TARGET               a symbolic link
//	mkdir PATH                        a directory
//	machine PATH "CONTENT"            a file of the machine, such as etc/fstab
//	rm PATH                           removes whatever is there
//	mv PATH PATH
//	online [started=OFFSET]           a daemon runs, since now+OFFSET; it knows what stands above
//	forget ID                         the daemon does not know it
//	before 1.10                       all that stands below is as Docker before 1.10 writes it; the first statement
//	active ID [OPEN]                  a thin device is active, and open so many times
//	no-dmsetup                        dmsetup is not installed
//	now OFFSET                        the moment of judging
//	with DRIVER STATEMENT             as if that were the driver; OTHER is one that it is not
//	writing                           a process has a write-set open
//	subvolume PATH [made=OFFSET]      that directory is a subvolume of a btrfs, made at now+OFFSET;
//	                                  without it the kernel does not tell
//
// In paths and contents ROOT/ is the data root, LAYERS/ the driver's directory
// of layers and DRIVER its name; {layer NAME}, {init NAME}, {chain IMAGE N}, {image
// NAME}, {container NAME}, {mount NAME}, {link NAME}, {build NAME} and {id
// NAME} stand for ids that follow from the name. The expectations name things
// the same way.
package testkit

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Root is a data root on disk.
type Root struct {
	Dir    string
	Driver string
	Daemon *Daemon // what a running daemon would answer; nil if none runs

	layers  map[string]string   // name → id
	lowers  map[string][]string // layer name → the layers below, nearest first
	chains  map[string][]string // image name → chain ids, the base first
	diffs   map[string]string   // layer name → diff id
	images  map[string]string   // name → id
	mounts  map[string]string   // container name → layer id
	builds  map[string]string
	volumes []scan.DaemonVolume
	symbols map[string]string   // id → symbol
	salt    string              // what the ids follow from beside the names
	old     map[string][]string // of Docker before 1.10: image name → its layers, the topmost first; nil for others
	pool    ThinPool            // of devicemapper
	Pools   Pools               // of zfs
}

// NewRoot returns an empty data root below a directory.
func NewRoot(dir, driver string) (*Root, error) { return newRoot(dir, driver, "") }

func newRoot(dir, driver, salt string) (*Root, error) {
	r := &Root{
		Dir: dir, Driver: driver, salt: salt,
		layers: map[string]string{}, lowers: map[string][]string{}, chains: map[string][]string{},
		diffs: map[string]string{}, images: map[string]string{}, mounts: map[string]string{},
		builds: map[string]string{}, symbols: map[string]string{},
	}
	for _, sub := range []string{
		"containers", "tmp", "volumes", "plugins", "image/" + driver + "/imagedb/content/sha256",
		"image/" + driver + "/layerdb/sha256", "image/" + driver + "/layerdb/mounts", "image/" + driver + "/layerdb/tmp",
	} {
		if err := os.MkdirAll(r.path(sub), 0o711); err != nil {
			return nil, err
		}
	}
	if err := r.furnish(); err != nil {
		return nil, err
	}
	return r, r.write("image/"+driver+"/repositories.json", `{"Repositories":{}}`)
}

func (r *Root) path(name string) string { return filepath.Join(r.Dir, name) }

// ID is the 64-character id that follows from a name.
func ID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// buildID is the 25-character id that follows from a name.
func (r *Root) buildID(name string) string { return r.id(name)[:25] }

func (r *Root) id(name string) string { return ID(r.salt + name) }

// linkName is the 26-character short name that follows from a name.
func (r *Root) linkName(name string) string {
	sum := sha256.Sum256([]byte(r.salt + "link " + name))
	return base32.StdEncoding.EncodeToString(sum[:])[:26]
}

func (r *Root) write(name, content string) error {
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o711); err != nil {
		return err
	}
	return os.WriteFile(r.path(name), []byte(content), 0o600)
}

// Layer makes the directory of an image's layer as the driver does. below are
// the names of the layers it lies on, the nearest first.
func (r *Root) Layer(name, id string, below ...string) error {
	return r.layer(name, id, false, below)
}

// layer makes a layer, one of an image or one that is written.
func (r *Root) layer(name, id string, written bool, below []string) error {
	if _, ok := r.layers[name]; ok {
		return nil
	}
	r.layers[name], r.lowers[name] = id, below
	r.symbols[id] = "{layer " + name + "}"
	switch r.Driver {
	case "vfs", "btrfs":
		return r.write(r.layerDir(id)+"/file", name)
	case "overlay":
		return r.overlay(name, id, written, below)
	case "aufs":
		return r.aufs(name, id, below)
	case "devicemapper":
		return r.thinDevice(id)
	case "zfs":
		r.dataset(id, below)
		return nil
	}
	return r.linked(name, id, below)
}

// Image makes an image of layers, the base first, with all its records.
func (r *Root) Image(name string, layers ...string) error {
	if err := r.Untagged(name, layers...); err != nil {
		return err
	}
	return r.Tag()
}

// Untagged makes an image whose tag [Root.Tag] writes: that file grows with
// every image.
func (r *Root) Untagged(name string, layers ...string) error {
	if r.old != nil {
		return r.oldImage(name, layers...)
	}
	var diffs, below []string
	parent := ""
	for i, layer := range layers {
		if err := r.Layer(layer, r.id("layer "+layer), below...); err != nil {
			return err
		}
		below = append([]string{layer}, below...)
		diff := "sha256:" + r.id("diff "+layer)
		diffs = append(diffs, diff)
		chain := diff
		if parent != "" {
			chain = "sha256:" + ID(parent+" "+diff)
		}
		r.chains[name] = append(r.chains[name], chain)
		r.symbols[strings.TrimPrefix(chain, "sha256:")] = fmt.Sprintf("{chain %s %d}", name, i+1)
		if err := r.chain(chain, parent, diff, r.layers[layer]); err != nil {
			return err
		}
		parent = chain
	}
	config, err := json.Marshal(map[string]any{
		"os": "linux", "author": name, "rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	})
	if err != nil {
		return err
	}
	id := ID(string(config))
	r.images[name] = "sha256:" + id
	r.symbols[id] = "{image " + name + "}"
	return r.write("image/"+r.Driver+"/imagedb/content/sha256/"+id, string(config))
}

func (r *Root) chain(chain, parent, diff, layer string) error {
	dir := "image/" + r.Driver + "/layerdb/sha256/" + strings.TrimPrefix(chain, "sha256:")
	files := map[string]string{"cache-id": layer, "diff": diff, "size": "5"}
	if parent != "" {
		files["parent"] = parent
	}
	for file, content := range files {
		if err := r.write(dir+"/"+file, content); err != nil {
			return err
		}
	}
	return nil
}

// Tag gives every image a tag.
func (r *Root) Tag() error {
	if r.old != nil {
		return r.oldTags()
	}
	repositories := map[string]map[string]string{}
	for name, id := range r.images {
		repositories[name] = map[string]string{name + ":1": id}
	}
	data, err := json.Marshal(map[string]any{"Repositories": repositories})
	if err != nil {
		return err
	}
	return r.write("image/"+r.Driver+"/repositories.json", string(data))
}

// Container makes a stopped container of an image.
func (r *Root) Container(name, image string) error {
	if r.old != nil {
		return r.oldContainer(name, image)
	}
	chains := r.chains[image]
	if len(chains) == 0 {
		return fmt.Errorf("container %s: no image %s", name, image)
	}
	id, mount := r.id("container "+name), r.id("mount "+name)
	r.mounts[name] = mount
	r.symbols[id] = "{container " + name + "}"
	below := r.below(image)
	if err := r.layer(name+"-init", mount+"-init", true, below); err != nil {
		return err
	}
	if err := r.layer(name+"-rw", mount, true, append([]string{name + "-init"}, below...)); err != nil {
		return err
	}
	r.symbols[mount] = "{mount " + name + "}"
	record := "image/" + r.Driver + "/layerdb/mounts/" + id
	config, err := json.Marshal(map[string]any{"ID": id, "Name": "/" + name, "Driver": r.Driver, "Image": r.images[image]})
	if err != nil {
		return err
	}
	for file, content := range map[string]string{
		record + "/mount-id": mount, record + "/init-id": mount + "-init", record + "/parent": chains[len(chains)-1],
		"containers/" + id + "/config.v2.json": string(config), "containers/" + id + "/hostconfig.json": "{}",
	} {
		if err := r.write(file, content); err != nil {
			return err
		}
	}
	return nil
}

// below lists the layers of an image by name, the topmost first.
func (r *Root) below(image string) []string {
	var names []string
	for _, chain := range slices.Backward(r.chains[image]) {
		for name, id := range r.layers {
			data, err := os.ReadFile(r.path("image/" + r.Driver + "/layerdb/sha256/" + strings.TrimPrefix(chain, "sha256:") + "/cache-id"))
			if err == nil && string(data) == id {
				names = append(names, name)
			}
		}
	}
	return names
}

var placeholder = regexp.MustCompile(`\{(\w+) ([^}]*)\}`)

// Expand replaces the placeholders of a text by the ids that they stand for.
func (r *Root) Expand(text string) (string, error) {
	var failed error
	out := placeholder.ReplaceAllStringFunc(text, func(m string) string {
		parts := placeholder.FindStringSubmatch(m)
		id, err := r.lookUp(parts[1], parts[2])
		if err != nil {
			failed = err
		}
		return id
	})
	return out, failed
}

func (r *Root) lookUp(kind, name string) (string, error) {
	found := ""
	switch kind {
	case "layer":
		found = r.layers[name]
	case "init":
		found = r.mounts[name] + "-init"
	case "mount":
		found = r.mounts[name]
	case "image":
		found = strings.TrimPrefix(r.images[name], "sha256:")
	case "build":
		found = r.builds[name]
	case "container":
		found = r.id("container " + name)
	case "link":
		found = r.linkName(name)
	case "id":
		found = r.id(name)
	case "chain":
		var image string
		var n int
		if _, err := fmt.Sscanf(name, "%s %d", &image, &n); err == nil && n >= 1 && n <= len(r.chains[image]) {
			found = strings.TrimPrefix(r.chains[image][n-1], "sha256:")
		}
	}
	if found == "" {
		return "", fmt.Errorf("{%s %s}: no such thing", kind, name)
	}
	if kind == "id" || kind == "container" || kind == "link" {
		r.symbols[found] = "{" + kind + " " + name + "}"
	}
	return found, nil
}

// Symbols replaces the ids of a text, long or cut to 12 characters, by the
// names that they follow from.
func (r *Root) Symbols(text string) string {
	ids := slices.SortedFunc(maps.Keys(r.symbols), func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, id := range ids {
		pairs = append(pairs, id, r.symbols[id])
	}
	for _, id := range ids {
		if len(id) == 64 {
			pairs = append(pairs, id[:12], r.symbols[id])
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
