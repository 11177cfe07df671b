package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/thin"
)

const (
	// ThinPool is where the files are that a pool is made of (loop-lvm).
	ThinPool = "devicemapper/devicemapper"
	thinPool = ThinPool + "/metadata"
	thinLast = thinDir + "/transaction-metadata"
)

// A thinTransaction is the content of transaction-metadata: the last device
// that was made or deleted. Where the pool does not have that transaction yet,
// the daemon takes it back when it starts.
type thinTransaction struct {
	Open   uint64 `json:"open_transaction_id"`
	Device int64  `json:"device_id"`
}

// errNoPool is that the pool is no file of the data root: it is made of other
// disks (direct-lvm).
var errNoPool = errors.New("the pool is not made of files of the data root")

// compare compares the layers with what is in the pool, where that is made of
// files of this data root: each must be there, made by the transaction that
// its file says. A device of the pool without a file is a leak of its own:
// Docker says "Device ID N exists in pool but it is supposed to be unused", and
// goes around it for ever.
//
// While a daemon runs the pool changes under whoever reads it, and it makes
// devices before their files: nothing tells those from a leak.
func (t *thinSet) compare() {
	const not = "devices of the pool without a metadata file are not listed: "
	if t.in.Host.Online || t.in.Host.Owner != nil {
		t.g.Note(not + "a daemon runs")
		return
	}
	pool, last, err := readPool(t.in)
	if errors.Is(err, errNoPool) {
		t.foreign()
		t.g.Note(not + err.Error())
		return
	}
	if err != nil {
		d := thinDoubt(thinPool, err, anyLayer)
		d.Hint = "which devices the pool has is not known: repair it (thin_check tells of what), or start Docker on it"
		t.g.Doubt(d)
		return
	}
	known := map[string]bool{t.base: true, strconv.FormatInt(last.Device, 10): last.Open > pool.Transaction}
	told := t.base != "" // of every file
	aside, err := asideDevices(t.in.Tree)
	if err != nil {
		told = false // that it cannot be read is a doubt of the quarantine's
	}
	for i := range t.layers() {
		o := &t.layers()[i]
		h := o.Note().Handle
		if h == nil || !t.inPool(pool, o, h) || known[h.Name] {
			told = false
		}
		if h != nil {
			known[h.Name] = true
		}
	}
	if !told {
		t.g.Note(not + "a metadata file does not tell which device is its own, and it may be any of them")
		return
	}
	for _, d := range pool.Devices {
		name := strconv.FormatUint(uint64(d.ID), 10)
		if n := thinLayer("device-" + name); !known[name] && !aside[name] && t.g.Object(n) == nil {
			t.g.Add(scan.Object{
				Node: n, Backend: "devicemapper", Medium: scan.ThinDevice,
				Notes: &scan.Notes{Handle: &scan.Handle{Name: name, Made: d.Transaction + 1}, Was: "device of the pool without a metadata file"},
			})
		}
	}
	t.g.Note(fmt.Sprintf("%d devices in the pool", len(pool.Devices)))
}

// foreign marks the layers as those of a pool that is not of this data root.
func (t *thinSet) foreign() {
	for i := range t.layers() {
		if h := t.layers()[i].Note().Handle; h != nil {
			h.Foreign = true
		}
	}
}

// asideDevices are the devices whose metadata files runs of ours have put
// aside: they come back, or go as what they are.
func asideDevices(tree scan.Tree) (map[string]bool, error) {
	runs, err := journal.Read(tree)
	if err != nil {
		return nil, err
	}
	aside := map[string]bool{}
	for _, run := range runs {
		if run.Plan == nil {
			continue
		}
		for i := range run.Plan.Steps {
			asideOf(tree, run.ID, &run.Plan.Steps[i], aside)
		}
	}
	return aside, nil
}

func asideOf(tree scan.Tree, run string, s *journal.Step, aside map[string]bool) {
	for m := range s.Moves {
		if _, err := tree.Stat(s.Place(run, m)); errors.Is(err, fs.ErrNotExist) {
			continue // not taken, back already, or gone
		}
		for _, o := range s.Objects {
			if h := o.Note().Handle; h != nil && o.Medium == scan.ThinDevice && o.Path() == s.Moves[m].From {
				aside[h.Name] = true
			}
		}
	}
}

// verifyThin doubts the devices of the pool without a metadata file where no
// Docker since 1.10 has used the data root: layers have no other record that
// would be missed there, and such a device may be that of an image in use.
func verifyThin(_ context.Context, _ *scan.Input, g *scan.Graph) {
	for i := range g.Objects {
		o := &g.Objects[i]
		if !g.Host.Before110 || o.Medium != scan.ThinDevice || !strings.HasPrefix(o.Name, thinDir+"/device-") {
			continue
		}
		g.Doubt(thinDoubt(o.Name, errors.New("has lost its metadata file, and nothing else tells whose it was"), scan.Scope{Nodes: []scan.Node{o.Node}}))
	}
}

// inPool reports whether a layer's device is the one that its file is about:
// the pool counts one transaction after it has made a device.
func (t *thinSet) inPool(pool *thin.Metadata, o *scan.Object, h *scan.Handle) bool {
	id, err := strconv.ParseUint(h.Name, 10, 32)
	d := pool.Device(uint32(id))
	switch {
	case err != nil || d == nil:
		o.Annotate().Missing = "its device " + h.Name + " is not in the pool"
	case d.Transaction+1 != h.Made:
		err := fmt.Errorf("device %d was made by transaction %d, not by %d as the file says", d.ID, d.Transaction+1, h.Made)
		t.g.Doubt(thinDoubt(o.Name, err, scan.Scope{Nodes: []scan.Node{o.Node}}))
	default:
		return true
	}
	return false
}

// thinSizes tells what each device alone has of a pool that is made of files
// of the data root, and is not active.
func thinSizes(in *scan.Input) (map[string]int64, error) {
	if in.Host.Online || in.Host.Owner != nil {
		return nil, errors.New("a daemon runs, and the pool changes")
	}
	own, err := fromPool(in, thin.Own)
	sizes := map[string]int64{}
	for id, bytes := range own {
		sizes[strconv.FormatUint(uint64(id), 10)] = bytes
	}
	return sizes, err
}

// fromPool reads something of the pool's metadata.
func fromPool[T any](in *scan.Input, read func(io.ReaderAt) (T, error)) (T, error) {
	var none T
	file, err := in.Tree.Open(thinPool)
	if errors.Is(err, fs.ErrNotExist) {
		err = errNoPool
	}
	if err != nil {
		return none, err
	}
	got, err := read(file)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return none, fmt.Errorf("%s: %w", thinPool, err)
	}
	return got, nil
}

// readPool reads the pool's metadata and the last transaction.
func readPool(in *scan.Input) (*thin.Metadata, *thinTransaction, error) {
	pool, err := fromPool(in, thin.Read)
	if err != nil {
		return nil, nil, err
	}
	data, err := in.Tree.ReadFile(thinLast, small)
	if err != nil {
		return nil, nil, err
	}
	var last thinTransaction
	if err := json.Unmarshal(data, &last); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", thinLast, err)
	}
	return pool, &last, nil
}
