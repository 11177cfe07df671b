package property

import (
	"crypto/sha256"
	"encoding/base32"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
)

// A step is one thing that the daemon does to the disk. It may find out what
// is to be done next, before the rest of its operation.
type step func() (next []step, err error)

// An operation is what the daemon does at a user's request.
type operation struct {
	name   string
	steps  []step
	holds  set // what it works at and nothing names yet
	reuses set // chains that it found registered: the daemon holds them in memory
}

func newOperation(name string, steps ...step) *operation {
	return &operation{name: name, steps: steps, holds: set{}, reuses: set{}}
}

// do is a step of one function.
func do(f func() error) step {
	return func() ([]step, error) { return nil, f() }
}

// step does the next step and reports whether there are more.
func (o *operation) step() (more bool, err error) {
	next, err := o.steps[0]()
	o.steps = append(next, o.steps[1:]...)
	return len(o.steps) > 0, err
}

func (w *world) mkdir(name string) step {
	return do(func() error { return os.MkdirAll(w.path(name), 0o711) })
}

func (w *world) write(name, content string) step {
	return do(func() error { return os.WriteFile(w.path(name), []byte(content), 0o600) })
}

// writeNew writes a file by the side and renames it, as the daemon does with
// what must be whole.
func (w *world) writeNew(name, content string) step {
	return do(func() error {
		aside := w.path(filepath.Join(filepath.Dir(name), ".tmp-"+filepath.Base(name)))
		if err := os.WriteFile(aside, []byte(content), 0o600); err != nil {
			return err
		}
		return os.Rename(aside, w.path(name))
	})
}

func (w *world) remove(name string) step {
	return do(func() error { return os.RemoveAll(w.path(name)) })
}

// removeTree removes a directory piece by piece, in the order of its names.
func (w *world) removeTree(name string) step {
	return func() ([]step, error) {
		entries, err := os.ReadDir(w.path(name))
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		var steps []step
		for _, e := range entries {
			steps = append(steps, w.remove(name+"/"+e.Name()))
		}
		return append(steps, w.remove(name)), nil
	}
}

// linkName is the short name of a layer.
func linkName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base32.StdEncoding.EncodeToString(sum[:])[:26]
}

// createLayer are the steps of the storage driver that make a layer on another
// (moby daemon/graphdriver/overlay2, create).
func (w *world) createLayer(o *operation, id, on string) []step {
	l := &layer{id: id, link: linkName(id)}
	begin := do(func() error {
		if below := w.layers[on]; below != nil && w.driver != "vfs" {
			l.below = append([]string{on}, below.below...)
		}
		w.layers[id] = l
		o.holds.add(w.layerPath(id), w.linkPath(l.link))
		return nil
	})
	dir := w.layerPath(id)
	if w.driver == "vfs" {
		return []step{begin, w.mkdir(dir), w.write(dir+"/file", id)}
	}
	steps := []step{
		begin, w.mkdir(dir), w.mkdir(dir + "/diff"),
		do(func() error { return os.Symlink("../"+id+"/diff", w.path(w.linkPath(l.link))) }),
		w.write(dir+"/link", l.link),
	}
	if on == "" {
		return steps
	}
	return append(steps, w.mkdir(dir+"/work"), do(func() error {
		var lower []string
		for _, below := range l.below {
			lower = append(lower, "l/"+w.layers[below].link)
		}
		return os.WriteFile(w.path(dir+"/lower"), []byte(strings.Join(lower, ":")), 0o600)
	}))
}

// removeLayer are the driver's steps that remove one: its link first.
func (w *world) removeLayer(id string) []step {
	l := w.layers[id]
	if l == nil {
		return nil
	}
	gone := do(func() error {
		delete(w.layers, id)
		return nil
	})
	if w.driver == "vfs" {
		return []step{w.removeTree(w.layerPath(id)), gone}
	}
	return []step{w.remove(w.linkPath(l.link)), w.removeTree(w.layerPath(id)), gone}
}

// BuildKit's databases.
const (
	snapshotsDB = "buildkit/snapshots.db"
	recordsDB   = "buildkit/metadata_v2.db"
	leasesDB    = "buildkit/containerdmeta.db"
)

func (w *world) makeDatabases() error {
	if err := os.MkdirAll(w.path("buildkit"), 0o700); err != nil {
		return err
	}
	for name, bucket := range map[string]string{snapshotsDB: "", recordsDB: "_main", leasesDB: "v1"} {
		err := w.update(name, func(tx *bbolt.Tx) error {
			if bucket == "" {
				return nil
			}
			_, err := tx.CreateBucket([]byte(bucket))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// update changes a database in one transaction.
func (w *world) update(name string, f func(tx *bbolt.Tx) error) error {
	db, err := bbolt.Open(w.path(name), 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true})
	if err != nil {
		return err
	}
	err = db.Update(f)
	if closed := db.Close(); err == nil {
		err = closed
	}
	return err
}

func (w *world) addSnapshot(id, parent string) step {
	return do(func() error {
		w.builds[id] = parent
		return w.update(snapshotsDB, func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket([]byte(id))
			if err != nil {
				return err
			}
			return b.Put([]byte("parent"), []byte(parent))
		})
	})
}

func (w *world) dropSnapshot(id string) step {
	return do(func() error {
		delete(w.builds, id)
		return w.update(snapshotsDB, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(id)) })
	})
}

func (w *world) addRecordOf(id string) step {
	return do(func() error {
		return w.update(recordsDB, func(tx *bbolt.Tx) error {
			_, err := tx.Bucket([]byte("_main")).CreateBucketIfNotExists([]byte(id))
			return err
		})
	})
}

func (w *world) dropRecordOf(id string) step {
	return do(func() error {
		return w.update(recordsDB, func(tx *bbolt.Tx) error {
			if tx.Bucket([]byte("_main")).Bucket([]byte(id)) == nil {
				return nil // it was cut off before
			}
			return tx.Bucket([]byte("_main")).DeleteBucket([]byte(id))
		})
	})
}

// flat joins steps and lists of them.
func flat(lists ...[]step) []step { return slices.Concat(lists...) }
