// Package locate finds out what to scan: which daemon was asked, which
// directory is its data root, whether both are on this machine, and which
// process owns them.
//
// It refuses rather than guesses. A daemon that answers is not yet the owner
// of a directory with the name that it gives: cloned machines have equal
// engine ids, and a forwarded socket leads to another host. The owner is the
// process that holds the lock on the root's database, and it must also be the
// one that listens on the socket that was asked.
package locate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/bolt"
	"github.com/docker-orphans/docker-orphans/scan/dm"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/mount"
	"github.com/docker-orphans/docker-orphans/scan/process"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
	"go.etcd.io/bbolt"
)

// Options says where to look.
type Options struct {
	Daemon   scan.Daemon // the daemon of the CLI's context
	Endpoint string      // its address: "unix:///var/run/docker.sock"
	DataRoot string      // the root that the user named, or ""
	Proc     string      // the process table: "/proc"
	// Unjudged is for what only reads, and judges nothing: then it does not
	// matter whether the daemon keeps its images in a way that is supported.
	Unjudged bool
	// Containerd is for what says where the space went or whose it is: images
	// may be in containerd. Then no backend is in Input, and nothing is judged.
	Containerd bool
}

// An Error says why nothing can be scanned, and what to do about it.
type Error struct {
	Object string // what it is about; "" if Err says it
	Err    error
	hint   string
}

func (e *Error) Error() string {
	if e.Object == "" {
		return e.Err.Error() // the docker CLI's own words
	}
	return e.Object + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Hint is what a person can do about it; "" if that is plain.
func (e *Error) Hint() string { return e.hint }

func refuse(object, why, hint string) error {
	return &Error{Object: object, Err: errors.New(why), hint: hint}
}

// databases are the files that a daemon keeps locked while it uses a data
// root: volumes/metadata.db since 1.11, the others later.
func databases(root string) []string {
	return []string{
		filepath.Join(root, "volumes/metadata.db"),
		filepath.Join(root, "buildkit/snapshots.db"),
		filepath.Join(root, "network/files/local-kv.db"),
	}
}

// Find locates the data root and opens it. The function that it returns
// closes it. Every error is an [*Error].
func Find(ctx context.Context, o Options) (*scan.Input, func() error, error) {
	if runtime.GOOS != "linux" {
		return nil, nil, refuse("docker orphans", "reads the data root on the daemon's own Linux host", "run it there")
	}
	if os.Geteuid() != 0 {
		return nil, nil, refuse("docker orphans", "must run as root to read the daemon's data root and every process", notRootHint())
	}
	if o.DataRoot != "" && wakes(o) {
		return offline(o, nil)
	}
	info, err := ask(ctx, o)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	switch {
	case err == nil && (o.DataRoot == "" || sameDir(o.DataRoot, info.DataRoot)):
		return online(ctx, o, info)
	case o.DataRoot != "":
		return offline(o, err)
	}
	return nil, nil, &Error{Err: err, hint: "to look at the data root of a daemon that is stopped, name it: --data-root DIR"}
}

// A daemon may take this long to say whose data root it has, where the user
// named one: then another than the daemon that is asked may have it, or none.
const (
	patience       = 30 * time.Second
	patienceUnused = 5 * time.Second // nobody has it locked: most likely no answer is needed
)

// errSilent is that of a daemon that took longer.
var errSilent = errors.New("does not answer")

// ask asks the daemon who it is.
func ask(ctx context.Context, o Options) (scan.DaemonInfo, error) {
	if o.DataRoot == "" {
		return o.Daemon.Info(ctx)
	}
	wait := patience
	if unused(o) {
		wait = patienceUnused
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, errSilent)
	defer cancel()
	info, err := o.Daemon.Info(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		err = errSilent
	}
	return info, err
}

// wakes reports whether to ask would start a daemon that nobody needs for the
// data root that was named: systemd listens in its place, and nobody has the
// data root locked.
func wakes(o Options) bool {
	socket, ok := strings.CutPrefix(o.Endpoint, "unix://")
	if !ok {
		return false
	}
	const systemd = 1
	listens, err := process.Listens(o.Proc, systemd, socket)
	return err == nil && listens && unused(o)
}

// unused reports whether nobody has the data root locked that was named.
func unused(o Options) bool {
	root, err := filepath.EvalSymlinks(o.DataRoot)
	if err != nil {
		return false
	}
	by, err := owner(o.Proc, root)
	return err == nil && by == nil
}

// owner returns the process that has a data root locked, or nil. A run of
// docker orphans locks it so that no daemon starts there meanwhile, and is no
// daemon.
func owner(proc, root string) (*scan.Process, error) {
	by, err := process.Owner(proc, root, databases(root)...)
	if by == nil || err != nil {
		return nil, err
	}
	run, err := process.Owner(proc, root, filepath.Join(root, journal.Lock))
	if err == nil && run != nil && process.Same(by, run) {
		return nil, nil
	}
	return by, nil // what of the other cannot be told does not matter
}

// sameDir reports whether two paths lead to one directory.
func sameDir(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// online opens the data root of a daemon that answers.
func online(ctx context.Context, o Options, info scan.DaemonInfo) (*scan.Input, func() error, error) {
	b, err := supported(info)
	if err != nil && !o.Unjudged && (!o.Containerd || !info.ContainerdStore) {
		return nil, nil, err
	}
	socket, ok := strings.CutPrefix(o.Endpoint, "unix://")
	if !ok {
		return nil, nil, refuse(o.Endpoint, "is not a daemon of this machine", "run docker orphans on the daemon's host, "+info.Name)
	}
	in, done, err := open(ctx, o, info.DataRoot)
	if err != nil {
		return nil, nil, err
	}
	if err := owned(o, in, info, socket); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	in.Daemon, in.Info = o.Daemon, info
	if b != nil {
		in.Backends = []*scan.Backend{b}
	}
	in.Host.TmpMade = tmpMade(in)
	in.Host.Online = true
	in.Host.Info = scan.HostInfo{EngineID: info.EngineID, Version: info.Version, Driver: info.Driver}
	return in, done, nil
}

// supported returns the backend that the daemon uses.
func supported(info scan.DaemonInfo) (*scan.Backend, error) {
	switch {
	case info.OSType != "" && info.OSType != "linux":
		return nil, refuse("daemon", "runs on "+info.OSType, "only daemons on Linux keep layers that can be looked at")
	case info.ContainerdStore:
		return nil, refuse("daemon", "keeps images in containerd (snapshotter "+info.Driver+"), which is not supported yet: nothing can be said about its orphans", "")
	}
	b := backend.Named(info.Driver)
	if b == nil {
		return nil, refuse("daemon", "uses the storage driver "+info.Driver+", which is not supported yet: nothing can be said about its orphans", "supported: "+names())
	}
	return b, nil
}

func names() string {
	var all []string
	for _, b := range backend.All {
		all = append(all, b.Name)
	}
	return strings.Join(all, ", ")
}

// whereRoots is the hint for a data root that was mistyped.
const whereRoots = "it is /var/lib/docker, or what dockerd --data-root or data-root in /etc/docker/daemon.json says; on a disk of another machine, below where that is mounted"

// open opens a data root and finds the process that owns it.
func open(ctx context.Context, o Options, dir string) (*scan.Input, func() error, error) {
	disk, err := tree.Open(dir)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case dir == o.DataRoot && missing:
		return nil, nil, refuse(dir, "no such directory", whereRoots)
	case dir == o.DataRoot && errors.Is(err, syscall.ENOTDIR):
		return nil, nil, refuse(dir, "not a directory", whereRoots)
	case missing:
		return nil, nil, refuse(dir, "is not on this machine", "the daemon runs elsewhere (another host, a virtual machine such as Docker Desktop's, another mount namespace): run docker orphans there, or name a directory with --data-root")
	case err != nil:
		return nil, nil, &Error{Err: err, hint: "docker orphans must be able to read the data root"} // it names the path
	}
	root := disk.Path()
	in := &scan.Input{
		Tree: disk, DataRoot: root, Machine: "/", Proc: o.Proc, Now: time.Now,
		Bolt:   func(ctx context.Context, name string) (*bbolt.DB, error) { return bolt.Copy(ctx, disk, name) },
		Mapper: dm.System{Sys: "/sys", Tool: dm.Dmsetup},
		Pools:  zfs.System{Tool: zfs.Zfs},
		Host:   scan.Host{DataRoot: root, Now: time.Now()},
	}
	if dir = filepath.Clean(dir); dir != root {
		in.Aliases = []string{dir}
	}
	if in.Host.Suspended, err = process.Suspended(); err != nil {
		return nil, nil, errors.Join(&Error{Object: "clock", Err: err}, disk.Close())
	}
	if in.Host.Owner, err = owner(o.Proc, root); err != nil {
		return nil, nil, errors.Join(&Error{Object: root, Err: err, hint: "which process uses the data root cannot be told"}, disk.Close())
	}
	pid := 0
	if in.Host.Owner != nil {
		pid = in.Host.Owner.PID
	}
	paths, err := mount.NewResolver(o.Proc, root, pid)
	if err != nil {
		return nil, nil, errors.Join(&Error{Object: root, Err: err, hint: "where the paths of containers lead cannot be told"}, disk.Close())
	}
	in.Resolve = paths.Resolve
	return in, disk.Close, ctx.Err()
}

// owned checks that the daemon that answers is the process that owns the
// root, and that it sees the directory that we see.
func owned(o Options, in *scan.Input, info scan.DaemonInfo, socket string) error {
	owner := in.Host.Owner
	if owner == nil {
		return refuse(in.DataRoot, "no process of this machine has it locked, though a daemon answers at "+o.Endpoint,
			"that daemon is elsewhere (another host, virtual machine or pid namespace): run docker orphans there")
	}
	listens, err := process.Listens(o.Proc, owner.PID, socket)
	if err != nil {
		return &Error{Object: socket, Err: err, hint: "whether the daemon there owns " + in.DataRoot + " cannot be told"}
	}
	if !listens {
		return refuse(in.DataRoot, fmt.Sprintf("belongs to %s (pid %d), which is not the daemon that answers at %s", owner.Name, owner.PID, o.Endpoint),
			"name that daemon's own socket with -H unix://…; a proxy or a forwarded socket proves nothing")
	}
	// Engines before 23 leave the file alone, of whichever engine it is.
	if id, err := in.Tree.ReadFile("engine-id", 4<<10); err == nil && info.Since(23, 0) && strings.TrimSpace(string(id)) != info.EngineID {
		return refuse(in.DataRoot, "its engine-id is not that of the daemon that answers at "+o.Endpoint, "name that daemon's own socket with -H unix://…")
	}
	seen, err := os.Stat(filepath.Join(o.Proc, fmt.Sprint(owner.PID), "root", in.DataRoot))
	ours, errOurs := os.Stat(in.DataRoot)
	if err = errors.Join(err, errOurs); err != nil {
		return &Error{Object: in.DataRoot, Err: err, hint: "whether the daemon sees the same directory cannot be told"}
	}
	if !os.SameFile(seen, ours) {
		return refuse(in.DataRoot, "the daemon sees another directory there than we do",
			fmt.Sprintf("it runs in a mount namespace of its own: nsenter -t %d -m docker-orphans …", owner.PID))
	}
	return nil
}

// offline opens a data root that no daemon uses. asked is what came of asking
// one, nil if none was asked or it has another data root.
func offline(o Options, asked error) (*scan.Input, func() error, error) {
	in, done, err := open(context.Background(), o, o.DataRoot)
	if err != nil {
		return nil, nil, err
	}
	if owner := in.Host.Owner; owner != nil {
		why, hint := fmt.Sprintf("is in use by %s (pid %d)", owner.Name, owner.PID), "ask that daemon: name its socket with -H unix://… or its context with --context"
		if errors.Is(asked, errSilent) {
			why += ", and the daemon at " + o.Endpoint + " does not answer"
			hint = "wait until it answers, or stop Docker; if another daemon has it, name the socket of that with -H unix://…"
		}
		return nil, nil, errors.Join(refuse(in.DataRoot, why, hint), done())
	}
	if in.Backends, err = present(in); err != nil && !o.Unjudged && (!o.Containerd || !hasManaged(in)) {
		return nil, nil, errors.Join(err, done())
	}
	return in, done, nil
}

// present returns the backends of a data root whose layers are judged.
func present(in *scan.Input) ([]*scan.Backend, error) {
	has := func(name string) bool {
		_, err := in.Tree.Stat(name)
		return err == nil
	}
	found, err := used(in)
	if err != nil {
		return nil, err
	}
	images, err := in.Tree.ReadDir("image")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Object: in.DataRoot, Err: err}
	}
	switch {
	case len(found) > 0:
		return found, nil
	case len(images) > 0:
		return nil, refuse(in.DataRoot, "its storage driver "+scan.Printable(images[0].Name)+" is not supported yet", "supported: "+names())
	case has("graph"):
		return nil, refuse(in.DataRoot, "is of a Docker before 1.10, and has no repositories file and layers of a storage driver that is supported", "supported: "+names())
	}
	return nil, refuse(in.DataRoot, "does not look like a data root of Docker: it has none of "+names(), below(in))
}

// below says where the data root is of a daemon with userns-remap that was told
// to use this one; "" if it had none.
func below(in *scan.Input) string {
	entries, err := in.Tree.ReadDir(".")
	if err != nil {
		return "" // what is wrong is said, without the hint
	}
	for _, e := range entries {
		if _, _, ok := scan.RemappedRoot(e.Name); ok && e.Type.IsDir() {
			return "a daemon with userns-remap keeps all below: --data-root " + filepath.Join(in.DataRoot, e.Name)
		}
	}
	return ""
}

// systemPlugins are the directories in which root's docker finds plugins.
var systemPlugins = []string{
	"/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
	"/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
}

// notRootHint says which of the two things is missing for sudo to work: the
// rights alone, or also the plugin where root's docker looks for it.
func notRootHint() string {
	for _, dir := range systemPlugins {
		if _, err := os.Stat(filepath.Join(dir, "docker-orphans")); err == nil {
			return "sudo docker orphans …"
		}
	}
	return "sudo docker orphans … (root's docker does not find the plugin yet: sudo make install puts it into " + systemPlugins[0] + ")"
}
