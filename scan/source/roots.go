package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/driver"
	"github.com/docker-orphans/docker-orphans/scan/mount"
)

// Roots finds data roots of other daemons that lie within this one:
//
//	<uid>.<gid>/          of a daemon with userns-remap (moby daemon_unix.go, setupDaemonRoot)
//	volumes/<name>/_data  of a daemon in a container
//	<name>/               one that was moved or copied here
//
// They are told by what is in them, and not judged: whose they are only who
// made them knows.
var Roots = &scan.Source{
	ID:  scan.SourceRoots,
	Doc: "data roots of other daemons within this one",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		points, err := barred(in)
		if err != nil {
			return "", err
		}
		r := &roots{in: in, g: g, barred: points}
		r.in.Roots = nil
		r.doubt(".", r.top(ctx))
		r.doubt(volumesDir, r.volumes(ctx))
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return fmt.Sprintf("%d data roots of other daemons", r.count), nil
	},
}

// roots is one search for other data roots.
type roots struct {
	in    *scan.Input
	g     *scan.Graph
	count int

	barred map[string]bool // mount points past which nothing is looked at
}

// barred lists the mount points below the data root past which nothing is looked
// at, for what is there may not answer: those of other machines and processes,
// and whatever is mounted below a volume.
func barred(in *scan.Input) (map[string]bool, error) {
	table, err := mount.Table(in.Proc + "/self/mountinfo")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	points := map[string]bool{}
	for _, m := range table {
		name, ok := strings.CutPrefix(m.Mountpoint, strings.TrimSuffix(in.DataRoot, "/")+"/")
		inVolume := strings.HasPrefix(name, volumesDir+"/") && strings.Count(name, "/") > 1
		if ok && (inVolume || mount.Remote(m) || m.FSType == "autofs") {
			points[name] = true
		}
	}
	return points, nil
}

// stat describes a file, as if there were none past a barred mount point.
func (r *roots) stat(name string) (scan.Info, error) {
	for above := name; above != "."; above = path.Dir(above) {
		if r.barred[above] {
			return scan.Info{}, fs.ErrNotExist
		}
	}
	return r.in.Tree.Stat(name)
}

// doubt doubts other data roots, and nothing else.
func (r *roots) doubt(where string, err error) {
	if err != nil {
		r.g.Doubt(scan.Doubt{
			Source: scan.SourceRoots, Where: where, Err: said(err, where),
			Scope: scan.Scope{Types: []scan.Type{scan.TypeRoot}},
		})
	}
}

// top looks at the directories of this data root.
func (r *roots) top(ctx context.Context) error {
	entries, err := r.in.Tree.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !e.Type.IsDir() {
			continue
		}
		n, err := r.root(e.Name, kindOf(e.Name))
		if err != nil {
			return err
		}
		if n != (scan.Node{}) {
			r.in.Roots = append(r.in.Roots, n)
		}
	}
	return nil
}

// kindOf says by its name what a data root within another is.
func kindOf(name string) string {
	if _, _, ok := scan.RemappedRoot(name); ok {
		return "data root of userns-remap " + strings.Replace(name, ".", ":", 1)
	}
	return "data root that was moved or copied here"
}

// volumes looks at the data of volumes. What a volume with options has as its
// data is mounted there while it is used, maybe from a server that does not
// answer: it is left alone. What uses a volume uses what is in it.
func (r *roots) volumes(ctx context.Context) error {
	entries, err := r.in.Tree.ReadDir(volumesDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !e.Type.IsDir() {
			continue
		}
		if err := r.volume(e.Name); err != nil { // it may hold one
			node := scan.VolumeNode(scan.Printable(e.Name))
			r.doubt(node.Name, err)
			r.g.Doubt(scan.Doubt{
				Source: scan.SourceRoots, Where: node.Name, Err: said(err, node.Name), Scope: scan.Scope{Nodes: []scan.Node{node}},
			})
		}
	}
	return nil
}

// volume looks at the data of one volume.
func (r *roots) volume(name string) error {
	dir := path.Join(volumesDir, name)
	if _, err := r.in.Tree.Stat(dir + "/opts.json"); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name = scan.Printable(name)
	n, err := r.root(dir+"/_data", "data root of a daemon in a container, in volume "+name)
	if err != nil || n == (scan.Node{}) {
		return err
	}
	r.g.Refer(scan.VolumeNode(name), n, scan.ByVolume)
	return nil
}

// root adds a directory if it is a data root, and returns its node.
func (r *roots) root(dir, kind string) (scan.Node, error) {
	drivers, err := r.signature(dir)
	if err != nil || drivers == "" {
		return scan.Node{}, err
	}
	info, err := r.stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return scan.Node{}, nil
	}
	if err != nil {
		return scan.Node{}, err
	}
	newest, err := r.newest(dir)
	if err != nil {
		return scan.Node{}, err
	}
	o := scan.Object{Node: scan.Node{Kind: scan.KindRoot, Name: dir}, Medium: scan.Directory, Stamp: info.Stamp}
	notes := o.Annotate()
	notes.Was, notes.Recorded = kind+" ("+drivers+")", &newest
	r.g.Add(o)
	r.count++
	return o.Node, nil
}

// storeDir is the data of a daemon's own containerd: with Docker 29 all that a
// data root has of images.
const storeDir = "containerd/daemon"

// ingestDir is where that begins what it pulls.
const ingestDir = storeDir + "/io.containerd.content.v1.content/ingest"

// signature returns the storage drivers that a data root has a tree or records
// of; "" if the directory is none. One that has nothing yet is told by what
// every daemon makes when it starts.
func (r *roots) signature(dir string) (string, error) {
	is, err := r.isDir(dir + "/containers")
	if err != nil || !is {
		return "", err
	}
	var found []string
	for i := range driver.All {
		d := &driver.All[i]
		tree, err := r.isDir(path.Join(dir, d.Name))
		store, errStore := r.isDir(path.Join(dir, d.Store()))
		if err := cmp.Or(err, errStore); err != nil {
			return "", err
		}
		if tree || store {
			found = append(found, d.Name)
		}
	}
	if is, err := r.isDir(path.Join(dir, storeDir)); err != nil {
		return "", err
	} else if is {
		found = append(found, "containerd")
	}
	if len(found) > 0 {
		return strings.Join(found, ", "), nil
	}
	for _, name := range []string{"volumes/metadata.db", "engine-id", "buildkit"} {
		switch _, err := r.in.Tree.Stat(path.Join(dir, name)); {
		case err == nil:
			return "no images", nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	return "", nil
}

func (r *roots) isDir(name string) (bool, error) {
	info, err := r.stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Mode.IsDir(), err
}

// newest is the newest change of the directories in which a daemon makes and
// removes things.
func (r *roots) newest(dir string) (time.Time, error) {
	var newest time.Time
	names := []string{"containers", "volumes", "tmp", ingestDir}
	for i := range driver.All {
		d := &driver.All[i]
		names = append(names, cmp.Or(d.Layers, d.Name), d.Store()+"/layerdb/sha256", d.Store()+"/layerdb/mounts")
	}
	for _, name := range names {
		info, err := r.stat(path.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return newest, err
		}
		if info.Stamp.Change.After(newest) {
			newest = info.Stamp.Change
		}
	}
	return newest, nil
}

// rootAt returns the data root of another daemon into which a path below this
// one leads.
func rootAt(in *scan.Input, rel string) (scan.Node, bool) {
	for _, n := range in.Roots {
		if rel == n.Name || strings.HasPrefix(rel, n.Name+"/") {
			return n, true
		}
	}
	return scan.Node{}, false
}
