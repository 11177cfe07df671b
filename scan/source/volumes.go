package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Volumes reads which layers are volumes' data. Before Docker 1.7 a volume's
// data was kept by the vfs driver, among the layers, and it still is after
// any number of upgrades:
//
//	volumes/<id>/config.json  "Path": "<root>/vfs/dir/<id>"   (until 1.6)
//	volumes/<name>/_data      → <root>/vfs/dir/<id>           (migrated by 1.7 to 1.9)
//
// And a volume of today may be made of a path below the data root
// (volumes/<name>/opts.json, volumes/metadata.db).
var Volumes = &scan.Source{
	ID:  scan.SourceVolumes,
	Doc: "volumes/: data of volumes that lives among the layers",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		v := &volumes{in: in, g: g, live: map[scan.Node]bool{}, refs: map[scan.Ref]bool{}}
		for _, b := range in.Backends {
			if b.Name == "vfs" {
				v.vfs = b
			}
		}
		return v.collect(ctx)
	},
}

const (
	volumesDir       = "volumes"
	maxVolumeOptions = 1 << 20
)

// volumes is one reading of the volumes directory.
type volumes struct {
	in     *scan.Input
	g      *scan.Graph
	vfs    *scan.Backend // nil: not enumerated, so none of its layers is judged
	traces []string      // what is left of Docker before 1.10

	live map[scan.Node]bool // what is marked as live
	refs map[scan.Ref]bool  // what is referred to
}

func (v *volumes) collect(ctx context.Context) (string, error) {
	entries, err := v.in.Tree.ReadDir(volumesDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.doubtData(volumesDir, errors.New("is missing"), "if its disk is not mounted, mount it")
	case err != nil:
		v.doubtAll(volumesDir, err)
		return "", err
	}
	count := 0
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if e.Type.IsRegular() || e.Type&fs.ModeDevice != 0 {
			continue // metadata.db, backingFsBlockDev
		}
		v.volume(e)
		count++
	}
	if err := v.rows(ctx); err != nil {
		return "", err
	}
	v.legacy()
	switch {
	case len(v.traces) == 0:
	case v.vfs != nil:
		v.lookAlikes()
	default: // what vfs left is not listed
		v.doubtData("vfs/dir", v.alike(), "")
	}
	return fmt.Sprintf("%d volumes", count), nil
}

// volume reads one volume.
func (v *volumes) volume(e scan.Entry) {
	name := volumesDir + "/" + e.Name
	if e.Type&fs.ModeSymlink != 0 {
		v.link(e.Name, name)
		return
	}
	entries, err := v.in.Tree.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return // removed since it was listed
	}
	if err != nil {
		v.doubtAll(name, err)
		return
	}
	for _, sub := range entries {
		file := name + "/" + sub.Name
		switch sub.Name {
		case "config.json":
			v.traces = append(v.traces, scan.Printable(file))
			v.legacyConfig(e.Name, file)
		case "opts.json":
			v.options(e.Name, file)
		case "_data":
			v.link(e.Name, file)
		}
	}
}

// link refers from a volume to what its directory or its data leads to, if
// that is a symbolic link.
func (v *volumes) link(volume, name string) {
	info, err := v.in.Tree.Stat(name)
	if err == nil && info.Mode&fs.ModeSymlink == 0 {
		return
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			v.doubtData(name, err, "")
		}
		return
	}
	target, err := v.in.Tree.ReadLink(name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			v.doubtAll(name, err)
		}
		return
	}
	if !path.IsAbs(target) {
		target = path.Join(v.in.DataRoot, path.Dir(name), target)
	}
	if v.refer(volume, target, name) {
		v.traces = append(v.traces, scan.Printable(name))
	}
}

// legacyConfig reads the config.json of a volume of Docker 1.6 or before
// (moby volumes/volume.go:toDisk@v1.6.2).
func (v *volumes) legacyConfig(volume, name string) {
	const maxVolumeConfig = 1 << 20
	data, err := v.in.Tree.ReadFile(name, maxVolumeConfig)
	var config struct{ ID, Path string }
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err == nil && config.Path == "" {
		err = errors.New("has no Path")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.doubtData(name, err, "the data of this volume may be any directory there")
	}
	// Its data has its own id; Path says so unless the volume is a bind mount.
	v.referLayer(volume, volume, name)
	v.refer(volume, config.Path, name)
}

// options reads what a volume of the local driver is made of (moby
// volume/local/local.go:optsConfig). Unlike data, a path can name anything.
func (v *volumes) options(volume, name string) {
	data, err := v.in.Tree.ReadFile(name, maxVolumeOptions)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = eachPath(v.in, data, func(to scan.Node) { v.use(volume, to, scan.ByPath, name) })
	}
	if err != nil {
		v.doubtAll(name, err)
	}
}

// refer refers from a volume to the layer, or whatever else, that a path
// leads to, and reports whether it is a layer of vfs. The path may be that of
// a data root that was copied from another place.
func (v *volumes) refer(volume, abs, where string) bool {
	if _, id, ok := cutLast(path.Clean(abs), "/vfs/dir/"); ok {
		id, _, _ = strings.Cut(id, "/")
		v.referLayer(volume, id, where)
		return scan.IsID(id)
	}
	to, ok, err := leadsTo(v.in, abs)
	if err != nil {
		v.doubtAll(where, err)
	}
	if ok {
		v.use(volume, to, scan.ByPath, where)
	}
	return false
}

// referLayer refers from a volume to a layer of vfs, or to all that vfs left
// if the daemon does not use it.
func (v *volumes) referLayer(volume, id, where string) {
	if !scan.IsLayerID(id) {
		return
	}
	if v.vfs != nil {
		v.use(volume, v.vfs.Layer(id), scan.ByVolume, where)
	} else if to, ok := dormantAt(v.in, "vfs/dir"); ok && !v.in.Gone("vfs/dir/"+id) {
		v.use(volume, to, scan.ByVolume, where)
	}
}

// use makes live what a volume refers to. A volume whose data is gone is not
// reason to doubt anything: its data is nowhere else.
func (v *volumes) use(volume string, to scan.Node, why scan.Why, where string) {
	if to.Kind == scan.KindLayer && !isThere(v.in, v.g, to) {
		return
	}
	from := volumeRecord(volume)
	if to == scan.VolumeNode(scan.Printable(volume)) {
		return // that it lies in its own place
	}
	if !v.live[from] {
		v.live[from] = true
		liveRecord(v.g, volume, where)
	}
	if ref := (scan.Ref{From: from, To: to, Why: why}); !v.refs[ref] {
		v.refs[ref] = true
		v.g.Refer(from, to, why)
	}
}

// volumeRecord stands for what is known of what a volume is made of. It is
// live as long as there is any record of the volume, whether something uses
// the volume or not: what it names does not become an orphan because the
// volume is one (rule 16).
func volumeRecord(volume string) scan.Node {
	return scan.Node{Kind: scan.KindVolume, Name: scan.VolumeNode(scan.Printable(volume)).Name + "/opts.json"}
}

func liveRecord(g *scan.Graph, volume, where string) {
	from, name := volumeRecord(volume), scan.Printable(volume)
	g.Title(from, name)
	g.Live(from, "volume "+name, scan.Printable(where))
}

// legacy looks for what Docker before 1.10 leaves in a data root.
func (v *volumes) legacy() {
	entries, err := v.in.Tree.ReadDir(".")
	if err != nil {
		v.doubtData(".", err, "")
		return
	}
	for _, e := range entries {
		switch {
		case e.Name == "graph", e.Name == "linkgraph.db",
			strings.HasPrefix(e.Name, "repositories-"), strings.HasPrefix(e.Name, ".migration-"):
			v.traces = append(v.traces, scan.Printable(e.Name))
		case e.Name == "init":
			v.dockerInit()
		}
	}
}

// dockerInit looks for the init programs that Docker before 1.11 unpacked.
func (v *volumes) dockerInit() {
	entries, err := v.in.Tree.ReadDir("init")
	if err != nil {
		v.doubtData("init", err, "")
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name, "dockerinit") {
			v.traces = append(v.traces, scan.Printable("init/"+e.Name))
		}
	}
}

// lookAlikes puts in doubt what may be the data of an old volume whose config is
// lost: any layer that no record names, but for those of containers, which have
// an -init, and of images, which a tag of before 1.10 names.
func (v *volumes) lookAlikes() {
	edges := v.g.Edges()
	var nodes []scan.Node
	for i := range v.g.Objects {
		o := &v.g.Objects[i]
		id := path.Base(o.Name)
		switch {
		case o.Kind != scan.KindLayer, o.Backend != v.vfs.Name, !scan.IsID(id):
		case v.g.Object(v.vfs.Layer(id+"-init")) != nil, v.g.Has(scan.ImageNode(id)):
		case edges.Needed(o.Node, scan.ByCacheID, scan.ByMountID):
		default:
			nodes = append(nodes, o.Node)
		}
	}
	if len(nodes) == 0 {
		return
	}
	v.g.Doubt(scan.Doubt{
		Source: scan.SourceVolumes, Where: v.vfs.Dir,
		Err:   v.alike().Error(),
		Scope: scan.Scope{Nodes: nodes},
	})
}

// alike says why what lies in vfs may be a volume's.
func (v *volumes) alike() error {
	return fmt.Errorf("a layer without a record and the data of a volume from before Docker 1.9 look alike here (%s is a remain of it)", v.traces[0])
}

// doubtData puts the layers of vfs in doubt: any may be a volume's data.
func (v *volumes) doubtData(where string, err error, hint string) {
	if _, left := dormantAt(v.in, "vfs/dir"); v.vfs == nil && !left {
		return
	}
	v.g.Doubt(scan.Doubt{
		Source: scan.SourceVolumes, Where: scan.Printable(where), Err: said(err, where), Hint: hint,
		Scope: dataScope(v.in),
	})
}

// dataScope is what may be the data of an old volume: a layer of vfs, or what
// vfs left if the daemon does not use it.
func dataScope(in *scan.Input) scan.Scope {
	if _, left := dormantAt(in, "vfs/dir"); left {
		return scan.Scope{Backend: "vfs", Types: []scan.Type{scan.TypeBackend}}
	}
	return scan.Scope{Backend: "vfs", Types: []scan.Type{scan.TypeLayer}}
}

// doubtAll puts everything in doubt: a volume may be made of any path.
func (v *volumes) doubtAll(where string, err error) {
	v.g.Doubt(scan.Doubt{
		Source: scan.SourceVolumes, Where: scan.Printable(where), Err: said(err, where),
		Hint: "what this volume is made of is not known: it may be anything below the data root",
	})
}

// cutLast is strings.Cut around the last instance of sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
