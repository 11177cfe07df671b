package prune

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// A medium that the daemon's driver keeps a state of its own about must not be
// touched beside it: thin devices, datasets. A thin device's layer that no
// record names is given a record of a layer that is being removed. The daemon
// deletes what such records name when it stops in order, from 20.10 on (moby
// layer_store.go, Cleanup), and asks nobody. So a mark is withdrawn by every
// later run before it looks, which sets it again if it may; it is never set
// for what may be a container's (rule 11), nor of a dataset: another daemon may
// have its layers below the same one (moby#40036), and nothing here tells.

// marker is the record that marks a layer. Its name follows from the layer's:
// there is one mark of a layer, whoever sets it.
func marker(f *scan.Finding) string {
	sum := sha256.Sum256([]byte("docker orphans " + f.Parts[0].Name))
	return fmt.Sprintf("image/%s/layerdb/sha256/%x-orphans-removing", f.Backend, sum)
}

// mark marks a step's layer. The record says nothing until its one file is
// there, whole.
func (x *run) mark(s *Step) Outcome {
	err := x.withReserve(func() error { return x.Disk.Mkdir(s.Marker) })
	if err == nil {
		err = x.withReserve(func() error { return x.Disk.Append(s.Marker+"/cache-id", []byte(path.Base(s.Objects[0].Name))) })
	}
	if err != nil {
		return Outcome{Step: s.ID, End: journal.Skipped, Reason: errors.Join(err, x.withdraw(s)).Error()}
	}
	return Outcome{Step: s.ID, End: journal.Pending, Reason: "the daemon deletes it when it stops", Bytes: Bytes(s)}
}

// withdraw takes a step's mark away, if it is set: first what it says.
func (r *Runner) withdraw(s *Step) error {
	for _, name := range []string{s.Marker + "/cache-id", s.Marker} {
		if err := r.Disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
