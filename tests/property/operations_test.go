package property

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// top is the layer of a chain, "" for none.
func (w *world) top(chain string) string {
	if c := w.chains[chain]; c != nil {
		return c.layer
	}
	return ""
}

// chainID is the id of a layer on a parent chain.
func chainID(parent, diff string) string {
	if parent == "" {
		return diff
	}
	return digest.FromString(parent + " " + diff).String()
}

// register are the steps that make a layer with a record (moby
// layer/layer_store.go, registerWithDescriptor). What is registered already is
// taken as it is.
func (w *world) register(o *operation, parent, diff string) step {
	return func() ([]step, error) {
		id := chainID(parent, diff)
		if w.chains[id] != nil {
			o.reuses.add(w.chainPath(id), w.layerPath(w.chains[id].layer))
			return nil, nil
		}
		c := &chain{id: id, parent: parent, diff: diff, layer: testkit.ID(w.fresh("layer"))}
		set := w.layerDB(fmt.Sprintf("tmp/write-set-%d", w.seq))
		create := w.createLayer(o, c.layer, w.top(parent))
		begin := []step{do(func() error {
			o.holds.add(set)
			return nil
		}), w.mkdir(set)}
		first := flat(create, begin)
		if w.seq%2 == 0 { // engines from 29.1.3 on
			first = flat(begin, create)
		}
		fill := []step{w.write(w.layerPath(c.layer)+"/file", diff), w.write(set+"/diff", diff), w.write(set+"/size", "5"), w.write(set+"/cache-id", c.layer)}
		if parent != "" {
			fill = append(fill, w.write(set+"/parent", parent))
		}
		return flat(first, fill, []step{w.enter(o, c, set)}), nil
	}
}

// enter gives a layer its record. Whoever comes second with the same takes his
// own away again.
func (w *world) enter(o *operation, c *chain, set string) step {
	return func() ([]step, error) {
		if w.chains[c.id] != nil {
			o.reuses.add(w.chainPath(c.id), w.layerPath(w.chains[c.id].layer))
			return flat(w.removeLayer(c.layer), []step{w.removeTree(set)}), nil
		}
		if err := os.Rename(w.path(set), w.path(w.chainPath(c.id))); err != nil {
			return nil, err
		}
		w.chains[c.id] = c
		o.holds.add(w.chainPath(c.id))
		return nil, nil
	}
}

// addImage gives chains an image's config, then a tag.
func (w *world) addImage(name string, diffs []string) []step {
	i := &image{}
	parent := ""
	for _, d := range diffs {
		parent = chainID(parent, d)
		i.chains = append(i.chains, parent)
	}
	config, err := json.Marshal(map[string]any{"author": name, "rootfs": map[string]any{"type": "layers", "diff_ids": diffs}})
	if err != nil {
		panic(err) // strings
	}
	i.id = digest.FromBytes(config).String()
	return []step{
		func() ([]step, error) {
			w.images[i.id] = i
			return w.writeNew(w.configPath(i.id), string(config))()
		},
		w.tags(),
	}
}

// tags writes the names of all images.
func (w *world) tags() step {
	return func() ([]step, error) {
		tags := map[string]map[string]string{}
		for _, id := range w.imageIDs() {
			tags["r"+id[7:12]] = map[string]string{"r" + id[7:12] + ":1": id}
		}
		data, err := json.Marshal(map[string]any{"Repositories": tags})
		if err != nil {
			return nil, err
		}
		return w.writeNew("image/"+w.driver+"/repositories.json", string(data))()
	}
}

func diffsOf(layers []string) []string {
	var diffs []string
	for _, l := range layers {
		diffs = append(diffs, "sha256:"+testkit.ID("diff "+l))
	}
	return diffs
}

// pull is a pull or a load: layers one by one, then the image.
func (w *world) pull(name string, layers []string) *operation {
	o := newOperation("pull " + name)
	temp := fmt.Sprintf("tmp/GetImageBlob%d", w.seq)
	o.holds.add(temp)
	o.steps = append(o.steps, w.write(temp, "blob"))
	parent := ""
	for _, diff := range diffsOf(layers) {
		o.steps = append(o.steps, w.register(o, parent, diff))
		parent = chainID(parent, diff)
	}
	o.steps = append(o.steps, w.addImage(name, diffsOf(layers))...)
	o.steps = append(o.steps, w.remove(temp))
	return o
}

// mount are the steps that make a mount record with its layer and, for a
// container, its -init (moby layer/layer_store.go, CreateRWLayer).
func (w *world) mount(o *operation, m *record) []step {
	dir := w.mountPath(m.name)
	o.holds.add(dir)
	var steps []step
	on := w.top(m.parent)
	if m.init != "" {
		steps, on = w.createLayer(o, m.init, on), m.init
	}
	steps = flat(steps, w.createLayer(o, m.layer, on), []step{w.mkdir(dir), func() ([]step, error) {
		w.mounts[m.name] = &record{name: m.name, layer: m.layer, owner: m.owner}
		return w.write(dir+"/mount-id", m.layer)()
	}})
	if m.init != "" {
		steps = append(steps, func() ([]step, error) {
			w.mounts[m.name].init = m.init
			return w.write(dir+"/init-id", m.init)()
		})
	}
	return append(steps, func() ([]step, error) {
		w.mounts[m.name].parent = m.parent
		return w.write(dir+"/parent", m.parent)()
	})
}

// unmount releases a record: its layers first.
func (w *world) unmount(m *record) []step {
	return flat(w.removeLayer(m.layer), w.removeLayer(m.init), []step{w.removeTree(w.mountPath(m.name)), do(func() error {
		delete(w.mounts, m.name)
		return nil
	})})
}

func last(chains []string) string { return chains[len(chains)-1] }

// create makes a container of an image.
func (w *world) create(imageID string) *operation {
	o := newOperation("create")
	c := &container{id: testkit.ID(w.fresh("container")), image: imageID}
	layer := testkit.ID(w.fresh("mount"))
	m := &record{name: c.id, layer: layer, init: layer + "-init", parent: last(w.images[imageID].chains)}
	o.steps = w.mount(o, m)
	dir := "containers/" + c.id
	o.holds.add(dir)
	config := fmt.Sprintf(`{"ID":%q,"Name":"/c%d","Driver":%q,"Image":%q}`, c.id, w.seq, w.driver, imageID)
	o.steps = append(o.steps, w.mkdir(dir), func() ([]step, error) {
		w.containers[c.id] = c
		return w.writeNew(dir+"/config.v2.json", config)()
	}, w.write(dir+"/hostconfig.json", "{}"))
	return o
}

// rm removes a container: its layers, its record, its directory.
func (w *world) rm(id string) *operation {
	c := w.containers[id]
	c.damaged = true
	o := newOperation("rm")
	for _, name := range sorted(w.mounts) {
		if m := w.mounts[name]; name == id || m.owner == id {
			o.steps = append(o.steps, w.unmount(m)...)
		}
	}
	dir := "containers/" + id
	o.steps = append(o.steps, do(func() error {
		delete(w.containers, id)
		return os.Remove(w.path(dir + "/config.v2.json"))
	}), w.removeTree(dir))
	return o
}

// rmi removes an image: its tag, its config, then what nothing else refers to.
func (w *world) rmi(id string) *operation {
	o := newOperation("rmi")
	i := w.images[id]
	o.steps = append(o.steps, w.tags(), do(func() error {
		delete(w.images, id)
		return os.Remove(w.path(w.configPath(id)))
	}), w.tags(), w.release(last(i.chains)))
	return o
}

// release removes a chain unless something refers to it, then its parent.
func (w *world) release(id string) step {
	return func() ([]step, error) {
		c := w.chains[id]
		if c == nil || w.referred(c) {
			return nil, nil
		}
		removing := fmt.Sprintf("%s-%d-removing", w.chainPath(id), w.seq)
		if err := os.Rename(w.path(w.chainPath(id)), w.path(removing)); err != nil {
			return nil, err
		}
		delete(w.chains, id)
		return flat(w.removeLayer(c.layer), []step{w.removeTree(removing), w.release(c.parent)}), nil
	}
}

// referred reports whether the daemon counts a reference to a chain.
func (w *world) referred(c *chain) bool {
	if w.needed(true)[w.chainPath(c.id)] {
		return true
	}
	for _, o := range w.running {
		if o.reuses[w.chainPath(c.id)] {
			return true
		}
	}
	for _, other := range w.chains {
		if other.parent == c.id {
			return true
		}
	}
	return false
}

// commit makes an image of a container.
func (w *world) commit(id string) *operation {
	o := newOperation("commit")
	w.addLayersOn(o, w.images[w.containers[id].image], w.fresh("commit"))
	return o
}

// addLayersOn adds the steps of a layer on an image, and of the image of both.
func (w *world) addLayersOn(o *operation, base *image, name string) {
	var diffs []string
	for _, c := range base.chains {
		diffs = append(diffs, w.chains[c].diff)
	}
	diff := diffsOf([]string{name})[0]
	o.steps = append(o.steps, w.register(o, last(base.chains), diff))
	o.steps = append(o.steps, w.addImage(name, append(diffs, diff))...)
}

// build is a step of the classic builder: a mount record of a random name,
// then an image.
func (w *world) build(imageID string) *operation {
	o := newOperation("build")
	base := w.images[imageID]
	m := &record{name: testkit.ID(w.fresh("step")), layer: testkit.ID(w.fresh("mount")), parent: last(base.chains)}
	o.steps = w.mount(o, m)
	w.addLayersOn(o, base, w.fresh("build"))
	o.steps = append(o.steps, func() ([]step, error) { return w.unmount(m), nil })
	return o
}

// buildKit makes a layer and a record of it: on an image, or on another build.
func (w *world) buildKit(imageID, on string) *operation {
	o := newOperation("BuildKit build")
	id := testkit.ID(w.fresh("build"))[:25]
	parent, below := on, on
	if on == "" {
		parent = last(w.images[imageID].chains)
		below = w.top(parent)
	}
	o.steps = flat(w.createLayer(o, id, below), []step{w.addSnapshot(id, parent), w.addRecordOf(id)})
	return o
}

// builderPrune removes a build record that no other lies on.
func (w *world) builderPrune(id string) *operation {
	o := newOperation("builder prune")
	o.steps = flat([]step{w.dropRecordOf(id), w.dropSnapshot(id)}, w.removeLayer(id))
	return o
}

// imageMount mounts an image into a container (Docker 28).
func (w *world) imageMount(containerID, imageID string) *operation {
	o := newOperation("image mount")
	m := &record{
		name: containerID + "-r" + fmt.Sprint(w.seq), owner: containerID,
		layer: testkit.ID(w.fresh("mount")), parent: last(w.images[imageID].chains),
	}
	o.steps = w.mount(o, m)
	return o
}

// finish does all the steps of an operation at once.
func (w *world) finish(o *operation) error {
	for {
		more, err := o.step()
		if err != nil || !more {
			return err
		}
	}
}
