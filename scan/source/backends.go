package source

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/driver"
)

// Backends finds what storage drivers have left that the daemon does not use:
// after a switch of drivers all that the old one had stays, and the daemon,
// which knows one driver only, never says a word of it.
//
//	<driver>/                          its layers
//	image/<driver>/                    its images, and the records of its layers
//	containers/<id>/config.v2.json     "Driver": its containers; see [Containers]
//
// Layers and records of such a driver are not judged one by one: the daemon
// cannot be asked about them.
var Backends = &scan.Source{
	ID:  scan.SourceBackends,
	Doc: "<driver>/ and image/<driver>/ of storage drivers that the daemon does not use",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		s := &backends{in: in, g: g}
		if err := s.collect(ctx); err != nil {
			return "", err
		}
		if len(in.Dormant) == 0 {
			return "no storage driver left anything that the daemon does not use", nil
		}
		var names []string
		for _, d := range in.Dormant {
			names = append(names, d.Name)
		}
		return strings.Join(names, ", "), nil
	},
}

// backends is one reading of what other drivers left.
type backends struct {
	in *scan.Input
	g  *scan.Graph
}

func (s *backends) collect(ctx context.Context) error {
	s.choice()
	s.in.Dormant = nil
	for i := range driver.All {
		d := &driver.All[i]
		if slices.ContainsFunc(s.in.Backends, func(b *scan.Backend) bool { return b.Name == d.Name }) {
			continue
		}
		if err := s.driver(ctx, d); err != nil {
			return err
		}
	}
	if s.in.Undecided != "" {
		s.g.Doubt(scan.Doubt{
			Source: scan.SourceBackends, Where: "storage driver", Err: s.in.Undecided,
			Hint:  "start the daemon and look again, or name its driver in /etc/docker/daemon.json: \"storage-driver\"",
			Scope: scan.Scope{Types: []scan.Type{scan.TypeBackend}},
		})
	}
	return nil
}

// choice notes by what the daemon chooses its driver when it starts.
func (s *backends) choice() {
	host := &s.g.Host
	var err error
	if host.Prior, err = driver.Prior(s.in.Tree); err != nil {
		s.doubt(nil, ".", err)
	}
	told, err := driver.ToldOf(s.in, host.Owner)
	if err != nil {
		s.doubt(nil, "storage driver", err)
	}
	host.Told = told.By
}

// doubt doubts all that a driver left, or any left if it is nil: what of it is
// in use cannot be told. No other thing depends on that.
func (s *backends) doubt(d *driver.Driver, where string, err error) {
	scope := scan.Scope{Types: []scan.Type{scan.TypeBackend}}
	if d != nil {
		scope.Backend = d.Name
	}
	s.g.Doubt(scan.Doubt{Source: scan.SourceBackends, Where: where, Err: said(err, where), Scope: scope})
}

// driver adds what one driver left, in its place and in that of a run that took
// it. Only a cancelled context is an error.
func (s *backends) driver(ctx context.Context, d *driver.Driver) error {
	left, err := d.Left(s.in.Tree)
	if err != nil {
		s.doubt(d, d.Name, err)
	}
	aside := s.aside(d)
	if left {
		if err := s.left(ctx, d); err != nil {
			return err
		}
	}
	if len(aside.Paths) > 0 {
		s.dormant(d, aside)
	}
	return nil
}

// aside is what of a driver lies in quarantine.
func (s *backends) aside(d *driver.Driver) scan.Dormant {
	known := scan.Dormant{Name: d.Name}
	for i := range s.g.Objects {
		o := &s.g.Objects[i]
		if o.Kind != scan.KindBackend || o.Backend != d.Name {
			continue
		}
		known.Paths = append(known.Paths, o.Paths()...)
		if o.Note().Contents != nil {
			known.Node = o.Node
		}
	}
	return known
}

// left adds what lies in its place.
func (s *backends) left(ctx context.Context, d *driver.Driver) error {
	var parts []*scan.Object
	known := scan.Dormant{Name: d.Name}
	for _, name := range []string{d.Name, d.Store()} {
		o, err := s.object(d, name)
		if err != nil {
			s.doubt(d, name, err)
		}
		if o != nil {
			parts = append(parts, o)
			known.Paths = append(known.Paths, name)
		}
	}
	if len(parts) == 0 {
		return nil // removed since, or in doubt
	}
	head := parts[0]
	known.Node = head.Node
	stock := &stock{in: s.in, d: d}
	if err := stock.read(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.doubt(d, d.Store(), err)
	}
	known.IDs = stock.ids
	notes := head.Annotate()
	notes.Contents, notes.Labels = &stock.found, stock.labels
	newest, err := s.recorded(d, known.Paths)
	if err != nil {
		s.doubt(d, d.Name, err)
	}
	notes.Recorded = &newest
	for _, o := range parts {
		s.g.Add(*o)
		if o != head {
			s.g.Refer(head.Node, o.Node, scan.ByDriver)
		}
	}
	s.dormant(d, known)
	return nil
}

// object is one directory of a driver; nil if it is not there.
func (s *backends) object(d *driver.Driver, name string) (*scan.Object, error) {
	info, err := s.in.Tree.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := &scan.Object{
		Node: scan.Node{Kind: scan.KindBackend, Name: name}, Backend: d.Name,
		Medium: scan.Directory, Stamp: info.Stamp,
	}
	switch {
	case info.Mode&fs.ModeSymlink != 0:
		o.Unrecognised = "a symbolic link where a directory should be"
	case !info.Mode.IsDir():
		o.Unrecognised = "not a directory"
	case name == d.Name:
		o.Medium, err = s.medium(d)
	}
	return o, err // of what its medium is: then it does not go by hand
}

// medium is what a driver's tree is made of. What devicemapper keeps in files of
// its own, attached to loop devices while it is used, goes with them; its other
// pools are the administrator's.
func (s *backends) medium(d *driver.Driver) (scan.Medium, error) {
	if d.Apart == "" {
		return scan.Directory, nil
	}
	if d.Name == "devicemapper" {
		_, err := s.in.Tree.Stat("devicemapper/devicemapper/data")
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return scan.Directory, err
		}
	}
	return scan.Medium(d.Apart), nil
}

// dormant notes a driver that the daemon does not use, with the names by which
// what is mounted or open may tell that it belongs to it.
func (s *backends) dormant(d *driver.Driver, known scan.Dormant) {
	err := s.directories(known.Paths, func(_ string, entries []scan.Entry) error {
		for _, e := range entries {
			if scan.IsLayerID(e.Name) || scan.IsLinkName(e.Name) {
				known.IDs = append(known.IDs, e.Name)
			}
		}
		return nil
	})
	if err != nil {
		s.doubt(d, d.Name, err)
	}
	s.in.Dormant = append(s.in.Dormant, known)
}

// recorded is the newest change of a driver's records and of the directories in
// which it makes and removes layers. What a container writes changes none of
// them, but as long as it runs it is mounted.
func (s *backends) recorded(d *driver.Driver, paths []string) (time.Time, error) {
	var newest time.Time
	note := func(name string) error {
		info, err := s.in.Tree.Stat(name)
		if err == nil && info.Stamp.Change.After(newest) {
			newest = info.Stamp.Change
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, name := range d.Records() {
		if err := note(name); err != nil {
			return newest, err
		}
	}
	err := s.directories(paths, func(name string, entries []scan.Entry) error {
		for _, e := range entries {
			if e.Type.IsRegular() { // the files behind a pool's devices
				if err := note(path.Join(name, e.Name)); err != nil {
					return err
				}
			}
		}
		return note(name)
	})
	return newest, err
}

// driverDepth is how deep below its tree a driver has directories of its own:
// vfs/dir, devicemapper/devicemapper.
const driverDepth = 1

// directories calls yield for each of the paths and the directories in it that
// are a driver's own and none of a layer's.
func (s *backends) directories(paths []string, yield func(name string, entries []scan.Entry) error) error {
	for _, p := range paths {
		if err := s.below(p, driverDepth, yield); err != nil {
			return err
		}
	}
	return nil
}

func (s *backends) below(name string, depth int, yield func(name string, entries []scan.Entry) error) error {
	info, err := s.in.Tree.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode.IsDir() {
		return nil // removed since, or nothing that is judged
	}
	var entries []scan.Entry
	if err == nil {
		entries, err = s.in.Tree.ReadDir(name)
	}
	if err != nil {
		return err
	}
	if err := yield(name, entries); err != nil {
		return err
	}
	for _, e := range entries {
		if depth > 0 && e.Type.IsDir() && !scan.IsLayerID(e.Name) {
			if err := s.below(path.Join(name, e.Name), depth-1, yield); err != nil {
				return err
			}
		}
	}
	return nil
}

// dormantAt returns what stands for a storage driver that the daemon does not
// use, if a path below the data root leads to something of it.
func dormantAt(in *scan.Input, rel string) (scan.Node, bool) {
	for _, d := range in.Dormant {
		for _, p := range d.Paths {
			if rel == p || strings.HasPrefix(rel, p+"/") {
				return d.Node, true
			}
		}
	}
	return scan.Node{}, false
}

// dormantNamed returns what a storage driver that the daemon does not use has
// in its own place; nil if it has nothing there.
func dormantNamed(in *scan.Input, g *scan.Graph, name string) *scan.Object {
	for _, d := range in.Dormant {
		if o := g.Object(d.Node); d.Name == name && o != nil && !aside(o) {
			return o
		}
	}
	return nil
}
