package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/thin"
)

// Devicemapper keeps each layer as a thin device of one pool, a snapshot of
// the layer below when it was made and independent of it from then on (1.0 to
// 24):
//
//	devicemapper/metadata/<id>                   {"device_id":N,"size":B,"transaction_id":T,"initialized":false,"deleted":false}
//	devicemapper/metadata/base                   the same of the device that all descend from: no layer
//	devicemapper/metadata/deviceset-metadata     of the pool
//	devicemapper/metadata/transaction-metadata   the device that was made or deleted last
//	devicemapper/metadata/.tmp<n>                a file that was being written
//	devicemapper/metadata/<id>.migrated          of a version before 1.0
//	devicemapper/mnt/<id>                        where the device is mounted
//	devicemapper/devicemapper/{data,metadata}    the pool itself, if it is made of files (loop-lvm)
//
// A layer is its metadata file: the pool knows devices by number alone (moby
// daemon/graphdriver/devmapper/deviceset.go). What is in the pool without such
// a file is listed only if the pool is made of these files, for then nobody
// else's devices are in it, and is not active, for then it can be read.
var Devicemapper = &scan.Backend{
	Name: "devicemapper", Doc: "thin devices of a pool, one metadata file a layer", Dir: thinDir, Medium: scan.ThinDevice,
	Enumerate: enumerateThin, Layer: thinLayer, Own: thinOther, Lookup: lookupThin, Verify: verifyThin, Sizes: thinSizes,
}

const (
	thinDir  = "devicemapper/metadata"
	thinBase = thinDir + "/base"
)

func thinLayer(id string) scan.Node { return scan.Node{Kind: scan.KindLayer, Name: thinDir + "/" + id} }

// A thinFile is the content of a metadata file.
type thinFile struct {
	Device      *int64  `json:"device_id"`
	Size        uint64  `json:"size"`
	Transaction *uint64 `json:"transaction_id"`
	Initialized bool    `json:"initialized"`
	Deleted     bool    `json:"deleted"`
}

// thinOther reports names in the directory that are no layers: those that the
// driver passes over when it loads its devices, and its own records.
func thinOther(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".migrated") ||
		name == "base" || name == "deviceset-metadata" || name == "transaction-metadata"
}

func enumerateThin(ctx context.Context, in *scan.Input, g *scan.Graph) error {
	entries, err := in.Tree.ReadDir(thinDir)
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e scan.Entry) bool { return thinOther(e.Name) })
	g.Expect(len(entries))
	t := &thinSet{in: in, g: g, first: len(g.Objects)}
	read := func(i int) *scan.Page { return readThin(in, entries[i].Name) }
	if err := scan.Parallel(ctx, len(entries), read, func(_ int, p *scan.Page) error { return g.Enter(p) }); err != nil {
		return err
	}
	t.end = len(g.Objects)
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name, "-init")
		if _, found := slices.BinarySearchFunc(entries, id, byName); ok && found {
			g.Refer(thinLayer(id), thinLayer(e.Name), scan.ByInitName)
		}
	}
	t.readBase()
	t.sameDevice()
	t.compare()
	return nil
}

// A thinSet is the layers that were listed, and what all descend from.
type thinSet struct {
	in         *scan.Input
	g          *scan.Graph
	first, end int    // the layers, among the graph's objects
	base       string // the number of the base's device; "" if there is none
}

func (t *thinSet) layers() []scan.Object { return t.g.Objects[t.first:t.end] }

// readBase reads which device all layers descend from.
func (t *thinSet) readBase() {
	data, err := t.in.Tree.ReadFile(thinBase, small)
	if errors.Is(err, fs.ErrNotExist) {
		return // the daemon makes another
	}
	var file *thinFile
	if err == nil {
		file, err = parseThin(data)
	}
	if err == nil {
		t.base = strconv.FormatInt(*file.Device, 10)
		return
	}
	d := thinDoubt(thinBase, err, anyLayer)
	d.Hint = "which device all layers descend from is not known; it may be that of any"
	t.g.Doubt(d)
}

// readThin reads one entry of the directory.
func readThin(in *scan.Input, entry string) *scan.Page {
	p := &scan.Page{}
	o, err := thinObject(in, entry)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p // removed since it was listed
	case err != nil && o.Name == "":
		p.Err = err
		return p
	case err != nil:
		p.Doubts = append(p.Doubts, thinDoubt(o.Name, err, scan.Scope{Nodes: []scan.Node{o.Node}}))
	}
	p.Objects = append(p.Objects, o)
	return p
}

// thinObject is the object of an entry. With an error it has a name if it is
// there and only its content could not be read.
func thinObject(in *scan.Input, entry string) (scan.Object, error) {
	name := thinDir + "/" + entry
	info, err := in.Tree.Stat(name)
	if err != nil {
		return scan.Object{}, err
	}
	o := scan.Object{
		Node: thinLayer(entry), Backend: "devicemapper", Medium: scan.ThinDevice, Stamp: info.Stamp,
	}
	switch {
	case !scan.IsLayerID(entry):
		o.Unrecognised = "no graphdriver gives such a name"
	case info.Mode&fs.ModeSymlink != 0:
		o.Unrecognised = "a symbolic link where a file should be"
	case !info.Mode.IsRegular():
		o.Unrecognised = "not a file"
	}
	if o.Unrecognised != "" {
		o.Name = thinDir + "/" + scan.Printable(entry)
		return o, nil
	}
	if _, err := in.Tree.Stat("devicemapper/mnt/" + entry); !errors.Is(err, fs.ErrNotExist) {
		o.Annotate().Paths = []string{name, "devicemapper/mnt/" + entry}
	}
	data, err := in.Tree.ReadFile(name, small)
	if err != nil {
		return o, err
	}
	file, err := parseThin(data)
	if err != nil {
		o.Unrecognised = "its metadata file is damaged: " + err.Error()
		return o, nil
	}
	o.Annotate().Handle = &scan.Handle{Name: strconv.FormatInt(*file.Device, 10), Made: *file.Transaction}
	return o, nil
}

// lookupThin looks for layers, each by its metadata file.
func lookupThin(_ context.Context, in *scan.Input) (func(scan.Node) (scan.Object, error), error) {
	return func(n scan.Node) (scan.Object, error) {
		o, err := thinObject(in, strings.TrimPrefix(n.Name, thinDir+"/"))
		if err == nil && o.Unrecognised != "" {
			err = fmt.Errorf("%s: %s", n.Name, o.Unrecognised)
		}
		return o, err
	}, nil
}

// parseThin reads a metadata file. Whatever is not exactly what the driver
// writes is an error: a number that is read wrong is another layer's.
func parseThin(data []byte) (*thinFile, error) {
	var file thinFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	switch {
	case len(bytes.TrimSpace(data[d.InputOffset():])) > 0:
		return nil, errors.New("something follows its end")
	case file.Device == nil || file.Transaction == nil:
		return nil, errors.New("names no device")
	case *file.Device < 0 || *file.Device > thin.MaxDevice:
		return nil, fmt.Errorf("no device has the number %d", *file.Device)
	}
	return &file, nil
}

// anyLayer is the scope of what keeps every layer from being judged.
var anyLayer = scan.Scope{
	Backend: "devicemapper", Types: []scan.Type{scan.TypeLayer, scan.TypeImageLayer, scan.TypeRWLayer, scan.TypeDownload},
}

func thinDoubt(where string, err error, scope scan.Scope) scan.Doubt {
	return scan.Doubt{Source: "backend devicemapper", Where: where, Err: err.Error(), Scope: scope}
}

// sameDevice doubts layers whose files name the same device as another's, or
// as the base's: to delete one is to delete the other.
func (t *thinSet) sameDevice() {
	owners := map[string][]scan.Node{}
	if t.base != "" {
		owners[t.base] = []scan.Node{thinLayer("base")}
	}
	for i := range t.layers() {
		if h := t.layers()[i].Note().Handle; h != nil {
			owners[h.Name] = append(owners[h.Name], t.layers()[i].Node)
		}
	}
	for i := range t.layers() {
		o := &t.layers()[i]
		h := o.Note().Handle
		if h == nil || len(owners[h.Name]) < 2 {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(owners[h.Name]), func(n scan.Node) bool { return n == o.Node })
		d := thinDoubt(o.Name, fmt.Errorf("names the same device as %s: %s", others[0].Name, h.Name), scan.Scope{Nodes: []scan.Node{o.Node}})
		d.Hint = "one of the two files is damaged or a copy"
		t.g.Doubt(d)
	}
}
