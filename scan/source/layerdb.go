package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/layerdb"
)

// LayerDB reads the graphdriver's registry of layers (moby layer/filestore.go):
//
//	image/<driver>/layerdb/sha256/<chain>/{cache-id,diff,parent,size}
//	image/<driver>/layerdb/sha256/<chain>-<x>-removing/cache-id
//	image/<driver>/layerdb/mounts/<name>/{mount-id,init-id,parent}
//	image/<driver>/layerdb/tmp/{write-set-<n>,layer-<n>}
var LayerDB = &scan.Source{
	ID:  scan.SourceLayerDB,
	Doc: "image/<driver>/layerdb: registered layers, mount records, layers being written or released",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		in.Diffs, in.AllDiffs = nil, true
		if g.Host.Before110 {
			return "none: the data root is of a Docker before 1.10", nil
		}
		var notes []string
		for _, b := range in.Backends {
			db := layerDBOf(in, g, b)
			note, err := db.collect(ctx)
			if err != nil {
				return "", err
			}
			notes = append(notes, note)
		}
		return strings.Join(notes, "; "), nil
	},
	Late: func(ctx context.Context, in *scan.Input, g *scan.Graph, n scan.Node) (bool, error) {
		for _, b := range in.Backends {
			db := layerDBOf(in, g, b)
			if name, ok := strings.CutPrefix(n.Name, db.dir+"/sha256/"); ok && n.Kind == scan.KindChain {
				_, err := db.take(db.entry(scan.Entry{Name: name}))
				db.missing(ctx)
				return true, err
			}
			if n.Kind == scan.KindMount && strings.HasPrefix(n.Name, db.dir+"/mounts/") {
				db.mount(n)
				db.missing(ctx)
				return true, nil
			}
		}
		return false, nil
	},
}

// layerDB is the reading of one driver's layerdb.
type layerDB struct {
	in  *scan.Input
	g   *scan.Graph
	b   *scan.Backend
	dir string

	sure     bool // the backend's layers are known
	unlisted []unlisted
}

func layerDBOf(in *scan.Input, g *scan.Graph, b *scan.Backend) *layerDB {
	return &layerDB{in: in, g: g, b: b, dir: "image/" + b.Name + "/layerdb", sure: g.Sure(b.Name)}
}

// unlisted is a record whose layer was not listed.
type unlisted struct{ record, layer scan.Node }

func (db *layerDB) collect(ctx context.Context) (string, error) {
	defer db.missing(ctx) // also of what was read before something could not be
	chains, err := db.chains(ctx)
	if err != nil {
		return "", err
	}
	mounts, err := db.mounts(ctx, "", 0)
	if err != nil {
		return "", err
	}
	if mounts == 0 {
		db.emptyDoubt("mounts")
	}
	if err := db.writeSets(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %d layers, %d mount records", db.b.Name, chains, mounts), nil
}

// emptyDoubt says that a registry holds nothing although the backend has
// layers: somebody removed it, or its disk is not mounted (rule 1).
func (db *layerDB) emptyDoubt(sub string) {
	emptyDoubt(db.in, db.g, db.b, scan.SourceLayerDB, db.dir+"/"+sub, scan.TypeLayer)
}

// emptyDoubt doubts the types of a backend that holds layers while a registry
// that should name them is empty or missing. One whose last entry the run that
// goes on now has taken is not lost.
func emptyDoubt(in *scan.Input, g *scan.Graph, b *scan.Backend, source scan.SourceID, where string, types ...scan.Type) {
	for i := range g.Objects {
		if o := &g.Objects[i]; strings.HasPrefix(o.Name, where+"/") && takenNow(in, o) {
			return
		}
	}
	for i := range g.Objects {
		if g.Objects[i].Backend == b.Name && g.Objects[i].Kind == scan.KindLayer {
			g.Doubt(scan.Doubt{
				Source: source, Where: where, Err: "empty or missing, while " + b.Dir + " holds layers",
				Hint:  "if it was lost, bring it back before anything is removed; a host that has at least one image and one container is not in doubt",
				Scope: scan.Scope{Backend: b.Name, Types: types},
			})
			return
		}
	}
}

// chains reads the registered layers.
func (db *layerDB) chains(ctx context.Context) (int, error) {
	entries, err := db.in.Tree.ReadDir(db.dir + "/sha256")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	db.g.Expect(len(entries))
	count := 0
	read := func(i int) *entry { return db.entry(entries[i]) }
	err = scan.Parallel(ctx, len(entries), read, func(_ int, e *entry) error {
		n, err := db.take(e)
		count += n
		return err
	})
	if err != nil {
		return 0, err
	}
	if count == 0 {
		db.emptyDoubt("sha256")
	}
	return count, nil
}

// take adds an entry to the graph, and returns how many registered layers it is.
func (db *layerDB) take(e *entry) (count int, err error) {
	p := &e.Page
	noteDiff(db.in, e.diff)
	db.in.AllDiffs = db.in.AllDiffs && len(p.Doubts) == 0
	for i := range p.Objects {
		if o := &p.Objects[i]; o.Kind == scan.KindChain && o.Unrecognised == "" {
			count++
		}
	}
	for _, r := range p.Refs {
		if r.Why == scan.ByCacheID && r.From.Kind == scan.KindChain {
			db.needs(r.From, r.To)
		}
	}
	return count, db.g.Enter(p)
}

// An entry is what one entry of the registry says.
type entry struct {
	scan.Page
	diff string // the id of its content
}

// entry reads one entry of the registry.
func (db *layerDB) entry(e scan.Entry) *entry {
	p := &entry{}
	name := db.dir + "/sha256/" + e.Name
	info, err := db.in.Tree.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p // released since it was listed
	}
	if err != nil {
		p.Err = err
		return p
	}
	o := scan.Object{
		Node: scan.Node{Kind: scan.KindChain, Name: name}, Backend: db.b.Name,
		Medium: scan.Directory, Stamp: info.Stamp,
	}
	switch {
	case !info.Mode.IsDir():
		o.Unrecognised = "not a directory"
	case scan.IsRemoving(e.Name):
		o.Kind = scan.KindRemoving
		db.removing(&p.Page, &o)
	case scan.IsID(e.Name):
		db.chain(p, &o)
	default:
		o.Unrecognised = "no layer has such an id"
	}
	if o.Unrecognised != "" && o.Kind == scan.KindChain {
		o.Name = db.dir + "/sha256/" + scan.Printable(e.Name)
	}
	p.Objects = append(p.Objects, o)
	return p
}

// needs notes that a record names a layer, if that was not listed.
func (db *layerDB) needs(record, layer scan.Node) {
	if db.g.Object(layer) == nil {
		db.unlisted = append(db.unlisted, unlisted{record, layer})
	}
}

// missing looks for the layers that were not listed, now that the records which
// name them have been read: it tells of those that are gone. Where the list
// itself is in doubt, none is.
func (db *layerDB) missing(ctx context.Context) {
	if !db.sure {
		return
	}
	finder := db.g.Finder(db.in)
	for _, u := range db.unlisted {
		switch err := finder.Layer(ctx, u.layer); {
		case errors.Is(err, fs.ErrNotExist):
			db.g.Object(u.record).Annotate().Missing = "its layer " + u.layer.Name + " is gone"
		case err != nil && u.record.Kind == scan.KindChain:
			db.doubt(u.record.Name, err, scan.TypeLayer, scan.TypeImageLayer)
		}
	}
	db.unlisted = nil
}

// removing reads a layer whose release was interrupted, or begins now. What is
// left of it is named by its cache-id alone.
func (db *layerDB) removing(p *scan.Page, o *scan.Object) {
	o.Renamed()
	o.Annotate().Was = "image layer whose removal was interrupted"
	id, err := db.in.Word(o.Name+"/cache-id", maxWord)
	switch {
	case err == nil && scan.IsLayerID(id):
		p.Refer(o.Node, db.b.Layer(id), scan.ByCacheID)
	case err == nil:
		o.Unrecognised = fmt.Sprintf("cache-id %q is no layer's id", id)
	case !errors.Is(err, fs.ErrNotExist):
		itself := db.doubtOf(o.Name, err)
		itself.Scope = scan.Scope{Nodes: []scan.Node{o.Node}}
		p.Doubts = append(p.Doubts, db.doubtOf(o.Name, err, scan.TypeLayer), itself)
	}
}

// chain reads one registered layer and checks that its id follows from its
// content: the id is a digest of its diff and its parent's id, so a file that
// was lost or damaged shows (moby layer.CreateChainID).
func (db *layerDB) chain(e *entry, o *scan.Object) {
	p := &e.Page
	id, err := db.in.Word(o.Name+"/cache-id", maxWord)
	if err == nil && !scan.IsLayerID(id) {
		err = fmt.Errorf("cache-id: %q is no layer's id", id)
	}
	if err != nil {
		db.unnamed(p, o, err)
		return
	}
	p.Refer(o.Node, db.b.Layer(id), scan.ByCacheID)
	diff, err := db.in.Word(o.Name+"/diff", maxWord)
	if err != nil {
		db.chainDoubt(p, o, err)
		return
	}
	parent, err := db.in.Word(o.Name+"/parent", maxWord)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		db.chainDoubt(p, o, err)
		return
	}
	if chainID(parent, diff) != "sha256:"+path.Base(o.Name) {
		db.chainDoubt(p, o, errors.New("its id does not follow from its diff and parent: one of them is damaged"))
		return
	}
	e.diff = diff
	if parent != "" {
		p.Refer(o.Node, scan.ChainNode(db.b.Name, parent), scan.ByParent)
	}
	db.unloaded(p, o)
}

// unloaded doubts an entry that the daemon does not load though its ids are right,
// nor its images, which are there as ever; and they cannot be loaded or pulled
// again: the entry is in the way (moby layer/layer_store.go, loadLayer).
func (db *layerDB) unloaded(p *scan.Page, o *scan.Object) {
	err := layerdb.Loads(db.in.Tree, o.Name)
	if err == nil || db.in.Gone(o.Name) {
		return
	}
	p.Doubts = append(p.Doubts, scan.Doubt{
		Source: scan.SourceLayerDB, Where: o.Name, Err: "the daemon does not load it: " + strings.TrimPrefix(err.Error(), o.Name+"/"),
		Hint: "write the size of the layer's files, in bytes and with nothing after it, to its file size, " +
			"or move a descriptor.json away that is no JSON, and restart Docker",
		Scope: scan.Scope{Nodes: []scan.Node{o.Node}},
	})
}

// unnamed adds an entry that does not say which layer it is about. No daemon
// loads one without a cache-id; it is in the way of a pull or a load of its
// layer, which ends with "file exists" (moby layer/filestore.go, Commit).
func (db *layerDB) unnamed(p *scan.Page, o *scan.Object, err error) {
	entries, dirErr := db.in.Tree.ReadDir(o.Name)
	empty := dirErr == nil && len(entries) == 0
	if !empty && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, scan.ErrEmpty) || db.in.Gone(o.Name) {
		db.chainDoubt(p, o, err)
		return
	}
	o.Kind = scan.KindRecord
	changed := o.Stamp.Change // at this time it lost what it had
	if info, err := db.in.Tree.Stat(o.Name + "/cache-id"); err == nil && info.Stamp.Change.After(changed) {
		changed = info.Stamp.Change
	}
	notes := o.Annotate()
	notes.Created, notes.Was = &changed, "layer"
	if empty { // it names nothing
		notes.Missing = "the entry is empty"
		return
	}
	notes.Missing = "the entry has no cache-id"
	db.chainDoubt(p, o, err)
}

// chainDoubt doubts what a damaged entry may have named.
func (db *layerDB) chainDoubt(p *scan.Page, o *scan.Object, err error) {
	if !db.in.Gone(o.Name) {
		p.Doubts = append(p.Doubts, db.doubtOf(o.Name, err, scan.TypeLayer, scan.TypeImageLayer))
	}
}

func (db *layerDB) doubt(where string, err error, types ...scan.Type) {
	db.g.Doubt(db.doubtOf(where, err, types...))
}

func (db *layerDB) doubtOf(where string, err error, types ...scan.Type) scan.Doubt {
	return scan.Doubt{
		Source: scan.SourceLayerDB, Where: where, Err: err.Error(),
		Hint:  "which layer it names is not known; it may be any",
		Scope: scan.Scope{Backend: db.b.Name, Types: types},
	}
}

// maxNesting bounds how deep mount records are looked for: an image mount's
// name has as many elements as the image's reference.
const maxNesting = 16

// mounts reads the mount records at and below a name and returns how many
// there are. A directory with a mount-id is a record; one without holds
// records with longer names (image mounts of Docker 28).
func (db *layerDB) mounts(ctx context.Context, name string, depth int) (int, error) {
	dir := path.Join(db.dir+"/mounts", name)
	entries, err := db.in.Tree.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // for the top: no record, which the caller doubts; else released since it was listed
	}
	if err != nil {
		return 0, err
	}
	if depth > maxNesting {
		db.doubt(dir, errors.New("nested deeper than any mount record"), scan.TypeLayer)
		return 0, nil
	}
	if name != "" && len(entries) == 0 {
		db.partial(dir, errors.New("has no mount-id"))
	}
	count := 0
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		sub := path.Join(name, e.Name)
		node := scan.MountNode(db.b.Name, sub)
		switch _, err := db.in.Tree.Stat(node.Name + "/mount-id"); {
		case err == nil:
			db.mount(node)
			count++
		case e.Type.IsDir() && errors.Is(err, fs.ErrNotExist):
			n, err := db.mounts(ctx, sub, depth+1)
			if err != nil {
				return 0, err
			}
			count += n
		case !db.in.Gone(node.Name):
			db.partial(node.Name, errors.New("has no mount-id"))
		}
	}
	return count, nil
}

// partial adds a mount record that does not say what it is about. It may be
// about any layer that nothing else names.
func (db *layerDB) partial(name string, err error) {
	info, statErr := db.in.Tree.Stat(name)
	if errors.Is(statErr, fs.ErrNotExist) {
		return
	}
	node := scan.Node{Kind: scan.KindMount, Name: db.dir + "/mounts/" + scan.Printable(strings.TrimPrefix(name, db.dir+"/mounts/"))}
	db.g.Add(scan.Object{
		Node: node, Backend: db.b.Name, Medium: scan.Directory, Stamp: info.Stamp,
		Unrecognised: err.Error(),
	})
	db.doubt(name, err, scan.TypeLayer, scan.TypeImageLayer)
}

// mount reads one mount record.
func (db *layerDB) mount(node scan.Node) {
	info, err := db.in.Tree.Stat(node.Name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			db.doubt(node.Name, err, scan.TypeLayer, scan.TypeImageLayer)
		}
		return
	}
	o := scan.Object{
		Node: node, Backend: db.b.Name, Medium: scan.Directory, Stamp: info.Stamp,
	}
	mountID, err := db.in.Word(node.Name+"/mount-id", maxWord)
	if err == nil && !scan.IsID(mountID) {
		err = fmt.Errorf("mount-id: %q is no layer's id", mountID)
	}
	if err != nil {
		db.partial(node.Name, err)
		return
	}
	layer := db.b.Layer(mountID)
	db.g.Add(o)
	if db.b.Medium.Apart() { // only the layer would tell whether it is old enough
		db.needs(node, layer)
	}
	db.g.Refer(node, layer, scan.ByMountID)
	initID, err := db.in.Word(node.Name+"/init-id", maxWord)
	switch {
	case err == nil && scan.IsInitID(initID):
		db.g.Refer(node, db.b.Layer(initID), scan.ByInitID)
	case err == nil:
		db.doubt(node.Name, fmt.Errorf("init-id: %q is no init layer's id", initID), scan.TypeLayer)
	case !errors.Is(err, fs.ErrNotExist):
		db.doubt(node.Name, err, scan.TypeLayer)
	}
	parent, err := db.in.Word(node.Name+"/parent", maxWord)
	switch {
	case err == nil && scan.IsID(strings.TrimPrefix(parent, "sha256:")):
		db.g.Refer(node, scan.ChainNode(db.b.Name, parent), scan.ByParent)
	case err == nil:
		db.doubt(node.Name, fmt.Errorf("parent: %q is no layer's id", parent), scan.TypeLayer, scan.TypeImageLayer)
	case !errors.Is(err, fs.ErrNotExist):
		db.doubt(node.Name, err, scan.TypeLayer, scan.TypeImageLayer)
	}
}

// writeSets adds the layers being written: their tar-split goes into a
// directory that becomes the layerdb entry when all is done.
func (db *layerDB) writeSets() error {
	dir := db.dir + "/tmp"
	entries, err := db.in.Tree.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no layer was ever written
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		known := numbered(e.Name, "write-set-") || numbered(e.Name, "layer-")
		addDownload(db.in, db.g, db.b.Name, dir, e, known, "interrupted pull, load or build")
	}
	return nil
}

// chainID is the id of a layer that lies on a parent, "" for none.
func chainID(parent, diff string) string {
	if parent == "" {
		return diff
	}
	text := make([]byte, 0, 2*len("sha256:")+2*hex.EncodedLen(sha256.Size)+1)
	text = append(append(append(text, parent...), ' '), diff...)
	sum := sha256.Sum256(text)
	id := hex.AppendEncode(append(text[:0], "sha256:"...), sum[:])
	return string(id)
}

// numbered reports a name that is a prefix and a number: what Go's
// os.MkdirTemp and os.CreateTemp make.
func numbered(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && rest != "" && strings.Trim(rest, "0123456789") == ""
}
