package source

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
	"github.com/docker-orphans/docker-orphans/scan/process"
)

// A site is where a process's file is, by its device.
type site uint8

const (
	elsewhere      site = iota // on a file system that holds nothing of the data root
	inData                     // on one of the data root's
	unknownOverlay             // on an overlay, by a device that no mount table has
)

// devices knows which devices are the data root's.
type devices struct {
	root         string // the data root, with a slash behind
	places       mount.Places
	sites        map[uint64]site
	supers       map[uint64]bool // the data root's, as mount tables have them
	namespaces   map[string]bool
	btrfs        bool
	layered      map[uint64]bool            // of overlays whose writable layer is in the data root
	remotes      map[string]map[string]bool // mount points, and the namespaces that have each
	remoteMounts map[int]bool
	patience     time.Duration // how long a file system may take to say what it is; 0: a few seconds
	silent       int           // those that did not say it
}

func newDevices(ctx context.Context, in *scan.Input, g *scan.Graph) (*devices, error) {
	d := &devices{root: in.DataRoot + "/", sites: map[uint64]site{}, supers: map[uint64]bool{}, layered: map[uint64]bool{}, remotes: map[string]map[string]bool{}, remoteMounts: map[int]bool{}}
	var err error
	if d.places, err = mount.PlacesOf(in.Proc, in.DataRoot); err != nil {
		return nil, err
	}
	for _, place := range d.places {
		d.supers[process.Device(uint64(place.Major), uint64(place.Minor))] = true
	}
	root, err := in.Tree.Stat(".")
	if err != nil {
		return nil, err
	}
	d.sites[root.Stamp.Device] = inData
	for i := range g.Objects {
		if o := &g.Objects[i]; o.Stamp.Inode != 0 {
			d.sites[o.Stamp.Device] = inData
		}
	}
	dirs := []string{in.DataRoot}
	for _, b := range in.Backends {
		dirs = append(dirs, path.Join(in.DataRoot, b.Dir)) // it may be a disk of its own
	}
	for _, dir := range dirs {
		magic, err := process.FileSystem(dir)
		if err != nil && !process.Gone(err) { // a tree need not be where it is said to be
			return nil, err
		}
		d.btrfs = d.btrfs || magic == process.Btrfs
	}
	return d, d.survey(ctx, in.Proc)
}

// survey learns the devices of all mounts.
func (d *devices) survey(ctx context.Context, proc string) error {
	survey, err := mount.Read(ctx, proc, 0, func(v *mount.View, m *mountinfo.Info) {
		device := mount.Device(m)
		if m.FSType == "overlay" && (strings.HasPrefix(m.Mountpoint, d.root) || strings.Contains(m.VFSOptions, "upperdir="+d.root)) {
			d.layered[device] = true
		}
		if d.sites[device] == inData {
			return
		}
		d.sites[device] = elsewhere
		if mount.Remote(m) {
			if d.remotes[m.Mountpoint] == nil {
				d.remotes[m.Mountpoint] = map[string]bool{}
			}
			d.remotes[m.Mountpoint][v.Namespace] = true
			d.remoteMounts[m.ID] = true
		}
	})
	if err != nil {
		return err
	}
	d.namespaces = survey.Namespaces
	return nil
}

// remote reports a path at which a file system may be mounted that asks
// another machine or another process, in the namespace of a thread. Others do
// not count: the root of a container may be such a one (fuse-overlayfs), and
// "/" is also what the kernel says of a directory on a mount that was taken
// from its place, which nothing but its inode tells. In a namespace that was
// not read any may be mounted.
func (d *devices) remote(thread, name string) bool {
	at := d.remotesAbove(name)
	if len(at) == 0 {
		return false
	}
	namespace, err := os.Readlink(thread + "/ns/mnt")
	return err != nil || !d.namespaces[namespace] ||
		slices.ContainsFunc(at, func(in map[string]bool) bool { return in[namespace] || in[""] })
}

// remotesAbove lists, of the remote mount points at or above a path, the
// namespaces that have each.
func (d *devices) remotesAbove(name string) []map[string]bool {
	if len(d.remotes) == 0 {
		return nil
	}
	var at []map[string]bool
	for strings.HasPrefix(name, "/") {
		if in := d.remotes[name]; in != nil {
			at = append(at, in)
		}
		if name == "/" {
			break
		}
		name = path.Dir(name)
	}
	return at
}

// of tells where a file is.
func (d *devices) of(f *process.File) site {
	device := f.Stamp.Device
	if f.Use == process.Mapping && d.supers[device] {
		return inData
	}
	s, known := d.sites[device]
	if known || device>>8&0xfff != 0 {
		return s // a device with a major number belongs to a disk
	}
	// A device of no mount table: a subvolume's, one of the kernel's own, or
	// of a mount that was taken from its place while something had it open.
	magic, err := d.fileSystem(f.Link)
	switch {
	case errors.Is(err, errSilent) && d.btrfs:
		s = inData // it may be a subvolume of a disk that has much to do
	case errors.Is(err, errSilent):
	case err != nil:
		return elsewhere // closed since; or a mapping, of which not everybody may ask that: memory shared with nobody's file
	case magic == process.Overlay:
		// It was taken from its place; or its layers are on several file
		// systems, and it gives each another device.
		s = unknownOverlay
	case magic == process.Btrfs && d.btrfs:
		s = inData
	}
	d.sites[device] = s
	return s
}

// errSilent is that a file system does not answer.
var errSilent = errors.New("does not answer")

// fileSystem asks what kind of file system a link leads to. A dead share that was
// taken from its place while something had it open never tells: whoever asks waits
// until we end.
func (d *devices) fileSystem(link string) (process.Magic, error) {
	type answer struct {
		magic process.Magic
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		magic, err := process.FileSystem(link)
		answers <- answer{magic, err}
	}()
	select {
	case a := <-answers:
		return a.magic, a.err
	case <-time.After(cmp.Or(d.patience, 5*time.Second)):
		d.silent++
		return 0, errSilent
	}
}
