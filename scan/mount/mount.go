// Package mount reads the mount tables of every mount namespace of the
// machine and finds the nodes of a graph that they name.
//
// A view is a mount table as one thread sees it: /proc/<pid>/task/<tid>/mountinfo
// lists the mounts of the thread's namespace that its root leads to. Threads
// that share namespace and root share the view, and it is read once. A pin is
// what keeps a namespace alive without a process: a mount of the namespace's
// own file (nsfs), or an open descriptor of it.
//
// The package promises that every mount that stood while Read ran is passed on
// at least once, or that a [Problem] or a [Pin] says which view it may be
// missing from. It does not promise that what it passes on still stands, nor
// that it is passed on once only.
package mount

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/docker-orphans/docker-orphans/scan/process"
)

// A View is one thread's mount table, and whom to name when it is spoken of.
// Of a namespace that no process lives in it is what one would see that
// entered it, and the process is the one through which its pin was found.
type View struct {
	PID       int
	Name      string // the process's comm, printable
	File      string // "/proc/<pid>/mountinfo", or that of one of its threads; of a pinned namespace what leads to it
	Namespace string // "mnt:[<inode>]"; "" where the kernel does not tell it
	Pin       string // the Path of the pin of a namespace that no process lives in; "" for others
}

// A Problem is a view that could not be read, or that does not show all of its
// namespace while no other does.
type Problem struct {
	View View
	Err  error
}

// A Pin keeps a namespace alive.
type Pin struct {
	Namespace string // "mnt:[<inode>]"
	Path      string // where it is mounted, as the view has it; or the descriptor: "/proc/<pid>/fd/<n>"
	View      View   // File is Path if it is a descriptor
	Err       error  // why the namespace could not be entered; nil if that was not tried
}

// file is what leads to the pinned namespace from here; "" if nothing does.
func (p *Pin) file() string {
	if p.Path == p.View.File {
		return p.Path
	}
	dir, ok := strings.CutSuffix(p.View.File, "/mountinfo")
	if !ok {
		return "" // in a namespace that is pinned itself: no thread's root leads there
	}
	return dir + "/root" + p.Path
}

// Closed reports a descriptor that was open on the namespace when it was found
// and was no longer when the namespace was to be entered.
func (p *Pin) Closed() bool {
	return p.Path == p.View.File && (process.Gone(p.Err) || errors.Is(p.Err, errOther))
}

// errOther is that something else is where the namespace was.
var errOther = errors.New("is no longer")

// A Survey is what [Read] read.
type Survey struct {
	Namespaces map[string]bool // those whose mounts were read, by link
	Unnamed    int             // views whose namespace the kernel does not tell
	Mounts     int
	Problems   []Problem
	Pins       []Pin
}

// Unseen are the pins of namespaces that no process lives in and that could
// not be entered, one for each namespace: whatever is mounted there was not
// read.
func (s *Survey) Unseen() []Pin {
	first := map[string]Pin{}
	for _, p := range s.Pins {
		if _, ok := first[p.Namespace]; !ok && !s.Namespaces[p.Namespace] {
			first[p.Namespace] = p
		}
	}
	return slices.SortedFunc(maps.Values(first), func(a, b Pin) int { return strings.Compare(a.Namespace, b.Namespace) })
}

// pinned returns the namespace that a mount pins, if it is one of mounts:
// nsfs shows the root of such a mount as "mnt:[<inode>]" (linux fs/nsfs.c).
func pinned(m *mountinfo.Info) (namespace string, ok bool) {
	return m.Root, m.FSType == "nsfs" && strings.HasPrefix(m.Root, "mnt:[")
}

// Device is the number of a mount's file system, as stat has it for the files
// of most: btrfs gives each subvolume another.
func Device(m *mountinfo.Info) uint64 { return process.Device(uint64(m.Major), uint64(m.Minor)) }

// Remote reports a file system whose files cannot be described without asking
// another machine or another process: while that does not answer, whoever
// asks hangs and cannot be killed.
func Remote(m *mountinfo.Info) bool {
	fstype, _, _ := strings.Cut(m.FSType, ".")
	switch fstype {
	case "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "9p", "afs", "lustre", "gfs2", "ocfs2", "fuse",
		"fuseblk", "virtiofs", "vboxsf", "beegfs", "gpfs", "orangefs", "pvfs2":
		return true
	}
	return false
}

// A Place is where part of a directory lies: what is at or below Path on the
// file system Major:Minor, as mount tables name it, is at or below Below in
// the directory.
type Place struct {
	Major, Minor int
	Path         string // on the file system
	Below        string // in the directory; "." for the directory itself
}

// Places are the places of a data root: that of the directory itself, and those
// of its parts that are disks of their own, such as volumes. What the daemon
// mounts for a container lies deeper (overlay2/<id>/merged) and is none.
type Places []Place

// Below returns where in the directory a mount's root lies.
func (p Places) Below(m *mountinfo.Info) (name string, ok bool) {
	for _, place := range p {
		if place.Major != m.Major || place.Minor != m.Minor {
			continue
		}
		if rest, ok := within(m.Root, place.Path); ok {
			return path.Join(place.Below, rest), true
		}
	}
	return "", false
}

// Shows reports whether a mount shows any part of the directory: whether its
// root lies in the directory or above it.
func (p Places) Shows(m *mountinfo.Info) bool {
	for _, place := range p {
		if place.Major != m.Major || place.Minor != m.Minor {
			continue
		}
		if _, ok := within(place.Path, m.Root); ok {
			return true
		}
	}
	_, ok := p.Below(m)
	return ok
}

// places takes a directory's places from a mount table, in its order: a later
// mount covers an earlier one at the same point.
func places(table []*mountinfo.Info, dir string) Places {
	var around Place
	var found Places
	longest := -1
	for _, m := range table {
		if rest, ok := within(dir, m.Mountpoint); ok && len(m.Mountpoint) >= longest {
			longest = len(m.Mountpoint)
			around = Place{m.Major, m.Minor, path.Join(m.Root, rest), "."}
		} else if rest, ok := within(m.Mountpoint, dir); ok && strings.Count(rest, "/") <= 1 {
			found = append(found, Place{m.Major, m.Minor, m.Root, rest})
		}
	}
	if longest < 0 {
		return found
	}
	return append(found, around) // the most special first
}

// within returns the part of a path below dir, "." for dir itself, comparing
// whole elements.
func within(name, dir string) (rest string, ok bool) {
	if name == dir {
		return ".", true
	}
	rest, ok = strings.CutPrefix(name, strings.TrimSuffix(dir, "/")+"/")
	return rest, ok && rest != ""
}
