package source

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
	"github.com/docker-orphans/docker-orphans/scan/process"
)

// Processes reads what every process has open: descriptors, working
// directories, roots, executables and mappings. Whatever their paths name is
// held; what no path leads to is told by its inode. It also knows the
// containers of shims, which outlive the daemon, and files that the kernel
// itself has open: swap and loop devices.
var Processes = &scan.Source{
	ID:  scan.SourceProcesses,
	Doc: "/proc/*/{fd,cwd,root,exe,maps}: what every process has open",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		p := &processes{
			in: in, g: g, holder: newHolder(in, g), reader: process.NewReader(in.Proc), self: process.Self(in.Proc),
			paths: map[string]scan.FileKey{}, inodes: map[scan.FileKey]sighting{}, loose: map[scan.FileKey]sighting{},
			removed: map[scan.FileKey]scan.RemovedFile{},
		}
		return p.collect(ctx)
	},
}

// processes is one reading of the process table.
type processes struct {
	*holder
	in      *scan.Input
	g       *scan.Graph
	reader  *process.Reader
	self    int
	devices *devices
	files   int
	nsfs    uint64 // the device of the files of namespaces; 0 if not known

	paths   map[string]scan.FileKey   // what paths lead to in our own root
	inodes  map[scan.FileKey]sighting // files on the data root's devices
	loose   map[scan.FileKey]sighting // those of them that no path leads to
	removed map[scan.FileKey]scan.RemovedFile
	refused []refusal
	pins    []mount.Pin
	overlay []sighting // files on an overlay that no mount table has
	daemons []suspect  // databases that a daemon has open, data roots that it was told of
	users   map[int]bool
}

// A sighting is a file as a process uses it.
type sighting struct {
	pid  int
	name string
	use  process.Use
	link string
	dir  bool
	key  scan.FileKey
}

func (s sighting) String() string { return fmt.Sprintf("%s (pid %d)", s.name, s.pid) }

// what says it in words, for a mark.
func (s sighting) what() (what, where string) {
	words := map[process.Use]string{
		process.Open: "open in ", process.WorkingDir: "working directory of ", process.RootDir: "root directory of ",
		process.Executable: "run by ", process.Mapping: "mapped by ",
	}
	return words[s.use] + s.String(), s.link
}

func (p *processes) collect(ctx context.Context) (string, error) {
	var err error
	if p.devices, err = newDevices(ctx, p.in, p.g); err != nil {
		return "", err
	}
	p.reader.Remote, p.reader.RemoteMounts = p.devices.remote, p.devices.remoteMounts
	if p.in.Proc == "/proc" { // another table's links lead to no namespaces
		info, err := process.Describe("/proc/self/ns/mnt")
		if err != nil {
			return "", fmt.Errorf("/proc/self/ns/mnt: %w", err)
		}
		p.nsfs = info.Stamp.Device
	}
	const tries = 3
	var note string
	var unseen []mount.Pin
	for range tries {
		if note, err = p.all(ctx); err != nil {
			return "", err
		}
		if unseen, err = p.unseen(ctx); err != nil {
			return "", err
		}
		// Who has closed a descriptor of a namespace may have handed it on,
		// and to one that was read before.
		if !slices.ContainsFunc(unseen, func(pin mount.Pin) bool { return pin.Closed() }) {
			break
		}
	}
	p.byInode()
	p.addRemoved()
	closed, refusedErr := p.judgeRefusals()
	p.judgeOverlays(ctx)
	err = errors.Join(refusedErr, p.kernel(), p.judgeDaemons(), unseenNamespaces(p.g, scan.SourceProcesses, unseen))
	if p.devices.silent > 0 {
		note += fmt.Sprintf(", file systems that do not answer: %d", p.devices.silent)
	}
	return note + closed, err
}

// all reads every process.
func (p *processes) all(ctx context.Context) (note string, err error) {
	pids, err := process.List(p.in.Proc)
	if err != nil {
		return "", err
	}
	p.files, p.refused, p.pins, p.overlay, p.daemons, p.users = 0, nil, nil, nil, nil, map[int]bool{}
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if pid != p.self { // what we have open, we have open to look at it
			p.process(pid)
		}
	}
	return fmt.Sprintf("%d processes, %d files", len(pids), p.files), nil
}

// process reads one process.
func (p *processes) process(pid int) {
	name := process.Name(p.in.Proc, pid)
	if strings.HasPrefix(name, "containerd-shim") || strings.HasPrefix(name, "docker-containe") {
		p.shim(pid, name)
	}
	if strings.HasPrefix(name, "docker") {
		p.started(pid, name)
	}
	err := p.reader.Files(pid, func(f *process.File) {
		p.files++
		p.file(f, sighting{pid: pid, name: name, use: f.Use, link: f.Link, dir: f.Mode.IsDir()})
	})
	if err != nil {
		p.refused = append(p.refused, refusal{pid: pid, name: name, err: err})
	}
}

// file takes in one file of a process.
func (p *processes) file(f *process.File, s sighting) {
	if namespace, ok := p.namespace(f); ok {
		view := mount.View{PID: s.pid, Name: s.name, File: f.Link}
		p.pins = append(p.pins, mount.Pin{Namespace: namespace, Path: f.Link, View: view})
		return
	}
	p.named(f.Path, s.what)
	p.below(f.Named(), s.what)
	if name, ok := p.name(f.Named()); ok {
		p.writeSet(name, f)
		p.uses(name, f, s)
	}
	if p.daemonFile(f) {
		p.daemons = append(p.daemons, suspect{s, "has a database of this data root open to write"})
	}
	p.removedFile(f, s)
	if f.Key().Inode == 0 {
		return // not to be asked; see process.File
	}
	where := p.devices.of(f)
	if f.Use == process.Mapping && where != elsewhere {
		if !described(f) {
			return
		}
		where = p.devices.of(f)
	}
	if where == elsewhere {
		return
	}
	s.key = f.Key()
	explained := p.explained(f)
	switch {
	case !explained && f.Links == 0:
		return // removed: nothing on disk leads to it any more
	case where == inData:
		p.note(s, explained)
	case !explained:
		p.overlay = append(p.overlay, s)
	}
}

// namespace returns the mount namespace that a descriptor keeps.
func (p *processes) namespace(f *process.File) (namespace string, ok bool) {
	if strings.HasPrefix(f.Path, "mnt:[") {
		return f.Path, true
	}
	if f.Use != process.Open || p.nsfs == 0 || f.Stamp.Device != p.nsfs {
		return "", false
	}
	return mount.NamespaceAt(f.Link)
}

// note remembers a file on the data root's devices.
func (p *processes) note(s sighting, explained bool) {
	if _, ok := p.inodes[s.key]; !ok {
		p.inodes[s.key] = s
	}
	if _, ok := p.loose[s.key]; !ok && !explained {
		p.loose[s.key] = s
	}
}

// described describes a mapping by the file itself, where that can be asked:
// its line in the table may have the device of another layer of file systems
// (btrfs; what lies below an overlay, before Linux 6.8). It reports false if the
// mapping is gone.
func described(f *process.File) bool {
	info, err := process.Describe(f.Link)
	switch {
	case err == nil:
		f.Info, f.Use = info, process.Open // the device is what stat tells now
	case process.Gone(err):
		return false
	default:
		f.Links = 1 // not known; rather too many than too few
	}
	return true
}

// explained reports whether a file's path leads to it, so that the path tells
// what it belongs to. The kernel writes it as it is in our own root. What is in
// another namespace has no path there; it has the one of that namespace, most
// often that of the process's root.
func (p *processes) explained(f *process.File) bool {
	if f.Path == "" {
		return false
	}
	if p.ours(f.Path) == f.Key() {
		return true
	}
	if f.Use != process.RootDir {
		key, err := process.Lookup(f.Root, f.Path)
		return err == nil && key == f.Key()
	}
	// A root in another namespace: if it is the root of a mount, the mount
	// table tells about it.
	table, err := mount.Table(strings.TrimSuffix(f.Root, "root") + "mountinfo")
	return err == nil && slices.ContainsFunc(table, func(m *mountinfo.Info) bool { return m.Mountpoint == "/" })
}

// ours is what a path leads to in our own root. Many processes have the same
// files open, libraries first of all, so each path is asked for once. It may be
// another namespace's path: what is mounted there in ours may not answer.
func (p *processes) ours(path string) scan.FileKey {
	key, ok := p.paths[path]
	if !ok {
		if !p.devices.remote(p.in.Proc+"/self", path) {
			var err error
			if key, err = process.Lookup("/", path); err != nil {
				key = scan.FileKey{} // no file has inode 0
			}
		}
		p.paths[path] = key
	}
	return key
}

// writeSet takes note of a layer that is being written: until it is complete,
// its write-set (moby layer/filestore.go) does not say which layer it is. A
// write-set that was renamed to its final name meanwhile counts too.
func (p *processes) writeSet(name string, f *process.File) {
	parts := strings.SplitN(name, "/", 6)
	if len(parts) < 5 || parts[0] != "image" || parts[2] != "layerdb" || parts[3] != "tmp" ||
		!strings.HasPrefix(parts[4], "write-set-") && !strings.HasPrefix(parts[4], "layer-") {
		return
	}
	made := f.Stamp.Birth // of a file in it, as old as the write-set or younger
	if info, err := p.in.Tree.Stat(path.Join(parts[:5]...)); err == nil && (made.IsZero() || info.Stamp.Birth.Before(made)) {
		made = info.Stamp.Birth
	}
	if made.IsZero() {
		made = scan.Unborn // its changes go on with every file that is written
	}
	if oldest := &p.g.Host.OldestWriteSet; oldest.IsZero() || made.Before(*oldest) {
		*oldest = made
	}
}
