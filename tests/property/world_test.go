package property

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// A world is a data root and what its daemon knows of it. Everything on disk
// is made and removed by the steps of operations, each of which is one
// operation of the file system or two; what that means is noted in the facts
// by the very step that makes it so.
type world struct {
	dir    string
	driver string
	seq    int       // for names that are used once
	start  time.Time // of the daemon

	// Facts: what is on disk and says something.
	layers     map[string]*layer     // by id
	chains     map[string]*chain     // registered, by id
	images     map[string]*image     // with a config, by id
	mounts     map[string]*record    // by name
	containers map[string]*container // with a config, by id
	builds     map[string]string     // build records: the layer's id → the key of its parent

	running []*operation
}

type layer struct {
	id, link string
	below    []string // ids of all layers that it lies on, the nearest first
}

type chain struct{ id, parent, diff, layer string }

type image struct {
	id     string
	chains []string // the base first
}

// A record is a mount record: a container's, or that of a build step or an
// image mount.
type record struct {
	name, layer, init, parent string
	owner                     string // the container whose image mount it is, "" for none
}

type container struct {
	id, image string
	damaged   bool // its removal has begun
}

// newWorld is a data root with an image and a container in use, so that no
// part of it is empty.
func newWorld(dir, driver string) (*world, error) {
	if _, err := testkit.NewRoot(dir, driver); err != nil {
		return nil, err
	}
	w := &world{
		dir: dir, driver: driver, layers: map[string]*layer{}, chains: map[string]*chain{}, images: map[string]*image{},
		mounts: map[string]*record{}, containers: map[string]*container{}, builds: map[string]string{},
	}
	if err := w.makeDatabases(); err != nil {
		return nil, err
	}
	first := w.pull("first", []string{"a"})
	if err := w.finish(first); err != nil {
		return nil, err
	}
	if err := w.finish(w.create(w.imageIDs()[0])); err != nil {
		return nil, err
	}
	return w, w.restart()
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// fresh is a name that was never used.
func (w *world) fresh(what string) string {
	w.seq++
	return fmt.Sprintf("%s %d", what, w.seq)
}

func (w *world) layerPath(id string) string {
	if w.driver == "vfs" {
		return "vfs/dir/" + id
	}
	return w.driver + "/" + id
}

func (w *world) linkPath(short string) string { return w.driver + "/l/" + short }
func (w *world) layerDB(name string) string   { return "image/" + w.driver + "/layerdb/" + name }
func (w *world) chainPath(id string) string   { return w.layerDB("sha256/" + id[len("sha256:"):]) }
func (w *world) mountPath(name string) string { return w.layerDB("mounts/" + name) }
func (w *world) configPath(image string) string {
	return "image/" + w.driver + "/imagedb/content/sha256/" + image[len("sha256:"):]
}

// tick is longer than the file system's clock takes for one step.
const tick = 12 * time.Millisecond

// restart starts the daemon again after a kill: what was in flight is what it
// left on disk.
func (w *world) restart() error {
	w.running = nil
	if err := os.RemoveAll(w.path("tmp")); err != nil {
		return err
	}
	time.Sleep(tick)
	w.start = time.Now()
	time.Sleep(tick)
	return os.Mkdir(w.path("tmp"), 0o700)
}

// A set is paths below the data root.
type set map[string]bool

func (s set) add(names ...string) {
	for _, n := range names {
		if n != "" {
			s[n] = true
		}
	}
}

// needed is what a user would miss, what the daemon holds in memory and what
// its operations work at.
func (w *world) needed(online bool) set {
	s := set{}
	for _, i := range w.images {
		s.add(w.configPath(i.id))
		w.addChains(s, i.chains...)
	}
	for _, c := range w.containers {
		s.add("containers/" + c.id)
		w.addRecord(s, w.mounts[c.id])
	}
	for _, m := range w.mounts {
		if m.owner != "" && w.containers[m.owner] != nil {
			w.addRecord(s, m)
		}
		if online {
			w.addChain(s, m.parent) // loaded with the record, whoever that belongs to
		}
	}
	for id, parent := range w.builds {
		w.addLayer(s, id)
		w.addChain(s, parent)
	}
	for _, o := range w.running {
		for name := range o.holds {
			s.add(name)
		}
	}
	return s
}

func (w *world) addRecord(s set, m *record) {
	if m == nil {
		return
	}
	s.add(w.mountPath(m.name))
	w.addLayer(s, m.layer)
	w.addLayer(s, m.init)
	w.addChain(s, m.parent)
}

func (w *world) addChains(s set, ids ...string) {
	for _, id := range ids {
		w.addChain(s, id)
	}
}

func (w *world) addChain(s set, id string) {
	for c := w.chains[id]; c != nil; c = w.chains[c.parent] {
		s.add(w.chainPath(c.id))
		w.addLayer(s, c.layer)
	}
}

// addLayer adds a layer and what it physically lies on.
func (w *world) addLayer(s set, id string) {
	l := w.layers[id]
	if l == nil {
		return
	}
	for _, one := range append([]string{id}, l.below...) {
		if below := w.layers[one]; below != nil {
			s.add(w.layerPath(one))
			if w.driver != "vfs" {
				s.add(w.linkPath(below.link))
			}
		}
	}
}

// things lists everything on disk that is one thing of its own.
func (w *world) things() []string {
	var all []string
	for _, dir := range []string{
		w.layerPath(""), w.layerDB("sha256"), w.layerDB("mounts"), w.layerDB("tmp"), "tmp", "containers",
	} {
		entries, _ := os.ReadDir(w.path(dir)) // what is not there has none
		for _, e := range entries {
			if name := filepath.Join(dir, e.Name()); name != w.driver+"/l" {
				all = append(all, name)
			}
		}
	}
	return all
}

// settled reports whether everything that is left can be told apart. An
// operation that was cut off can leave what cannot, and the design says so:
// a container whose config was not written yet or whose removal had begun, and
// a record that does not say what it is about.
func (w *world) settled() bool {
	for _, c := range w.containers {
		if c.damaged {
			return false
		}
	}
	for _, name := range w.things() {
		switch filepath.Dir(name) {
		case "containers":
			if w.containers[filepath.Base(name)] == nil {
				return false
			}
		case w.layerDB("mounts"):
			if _, err := os.Stat(w.path(name + "/mount-id")); err != nil {
				return false
			}
		}
	}
	return true
}

func (w *world) imageIDs() []string     { return sorted(w.images) }
func (w *world) containerIDs() []string { return sorted(w.containers) }

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
