package scan

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/docker-orphans/docker-orphans/scan/dm"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
)

// A Tree is the data root, read-only: no method of it can write, and none
// follows a symbolic link or leaves the directory. Names are slash-separated
// and relative to the root; "." is the root itself. Every method reports a
// symbolic link where a directory should be as [ErrSymlink].
type Tree interface {
	// ReadDir returns a directory's entries sorted by name.
	ReadDir(name string) ([]Entry, error)
	// ReadFile returns a regular file's content; a file larger than
	// limit bytes is an error.
	ReadFile(name string, limit int64) ([]byte, error)
	// ReadLink returns a symbolic link's target.
	ReadLink(name string) (string, error)
	// Stat describes the file itself, never a link's target.
	Stat(name string) (Info, error)
	// Open opens a regular file to read it at any offset.
	Open(name string) (ReaderAt, error)
	// Walk adds up what is at and below the names, all of one object. It
	// enters no mount and follows no link; where a part cannot be read it
	// goes on and says so in Usage. Only a cancelled context is an error.
	// watch names inodes that some process has open.
	Walk(ctx context.Context, watch Watch, names ...string) (Usage, error)
}

// ErrSymlink is the error of a path that has a symbolic link where it needs
// a directory or a file.
var ErrSymlink = errors.New("is a symbolic link")

// An Entry is one name of a directory. The name is as the disk has it: any
// bytes but NUL and slash.
type Entry struct {
	Name string
	Type fs.FileMode // the type bits alone
}

// Info is what a file looks like.
type Info struct {
	Mode  fs.FileMode
	Size  int64
	Bytes int64 // on disk: st_blocks × 512
	Links uint64
	Stamp Stamp
	// Subvolume is the number of the subvolume of a btrfs whose top directory
	// it is; 0 for everything else.
	Subvolume uint64
}

// Medium is what it is made of.
func (i Info) Medium() Medium {
	switch {
	case i.Subvolume != 0:
		return Subvolume
	case i.Mode.IsDir():
		return Directory
	}
	return File
}

// ReaderAt is an open file.
type ReaderAt interface {
	io.ReaderAt
	io.Closer
	Size() (int64, error)
}

// A FileKey is a file's identity while the machine runs.
type FileKey struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// Watch maps files that are open to the process that has them open.
type Watch map[FileKey]string

// Daemon is the part of the Docker API that a scan uses, in small types of
// our own, so that a change of client is a change of one file. Errors of
// things that are gone satisfy errdefs.IsNotFound.
type Daemon interface {
	Info(ctx context.Context) (DaemonInfo, error)
	// Images lists all images, intermediate ones too, with their layers.
	Images(ctx context.Context) ([]DaemonImage, error)
	// Containers lists all containers, stopped ones too.
	Containers(ctx context.Context) ([]DaemonContainer, error)
	Volumes(ctx context.Context) ([]DaemonVolume, error)
	// VolumeUses says which container last used each volume, by the volume's
	// name, as far as the daemon remembers: some hundred events since it started.
	VolumeUses(ctx context.Context) (map[string]VolumeUse, error)
	// BuildCache lists BuildKit's records that the daemon still knows, or
	// ErrNotAsked where the daemon's version can only answer by walking
	// every container and volume.
	BuildCache(ctx context.Context) ([]string, error)
	// Services lists the services of the swarm, of which the node must be a
	// manager.
	Services(ctx context.Context) ([]DaemonService, error)
	HasImage(ctx context.Context, id string) (bool, error)
	HasContainer(ctx context.Context, id string) (bool, error)
}

// ErrNotAsked is the error of a question that was better not asked.
var ErrNotAsked = errors.New("not asked")

// DaemonInfo is GET /info and GET /version.
type DaemonInfo struct {
	EngineID        string
	DataRoot        string // DockerRootDir
	Driver          string // storage driver
	ContainerdStore bool   // images live in containerd, not in a graphdriver
	Version         string
	APIVersion      string
	OSType          string
	Name            string // host name
	Rootless        bool
	Manager         bool   // of a swarm
	Pool            string // the thin pool of devicemapper
}

// Since reports whether the daemon is known to be of a version or later.
func (i *DaemonInfo) Since(major, minor int) bool { return since(i.Version, major, minor) }

// Since is that of [DaemonInfo].
func (i *HostInfo) Since(major, minor int) bool { return since(i.Version, major, minor) }

func since(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	is, err := strconv.Atoi(parts[0])
	if err != nil {
		return false
	}
	isMinor, err := strconv.Atoi(parts[1])
	return err == nil && (is > major || is == major && isMinor >= minor)
}

// DaemonImage is one image of GET /images/json?all=1 and its inspect.
type DaemonImage struct {
	ID     string // "sha256:<hex>"
	Tags   []string
	Layers []string          // diff ids, the base first
	Graph  map[string]string // GraphDriver.Data; nil for drivers that have none
}

// DaemonContainer is one container of GET /containers/json?all=1 and its inspect.
type DaemonContainer struct {
	ID    string
	Name  string
	Image string
	State string
	Graph map[string]string
	// Volumes are the names of those that it has.
	Volumes []string
}

// DaemonVolume is one volume of GET /volumes.
type DaemonVolume struct {
	Name       string
	Driver     string
	Scope      string // "local" or "global"
	Mountpoint string
	Options    map[string]string // what it was created with
	Labels     map[string]string
}

// DaemonService is one service of GET /services.
type DaemonService struct {
	Name string
	JSON []byte // all of it: its mounts may name any path
}

// A Process is one that a source found in /proc.
type Process struct {
	PID     int       `json:"pid"`
	Name    string    `json:"name"`    // comm
	Started time.Time `json:"started"` // by the kernel's boot clock and the wall clock of now
}

// Host is what a scan knows about the machine and the daemon.
type Host struct {
	DataRoot string    `json:"dataRoot"` // absolute
	Online   bool      `json:"online"`   // the daemon that owns the root was asked
	Info     HostInfo  `json:"info,omitzero"`
	Now      time.Time `json:"now"` // when the scan began

	// Owner is the process that holds the lock on the root's database;
	// nil when none does.
	Owner *Process `json:"owner,omitempty"`
	// TmpMade is the birth of <root>/tmp, which the daemon makes anew at
	// each start (17.05 on): its start in the file system's clock. It is zero
	// where the daemon does not, or the file system does not tell births.
	TmpMade time.Time `json:"tmpMade,omitzero"`
	// OldestWriteSet is the birth of the oldest layer that a process is
	// writing now; zero when none is being written, and [Unborn] when one is
	// and its birth is not known.
	OldestWriteSet time.Time `json:"oldestWriteSet,omitzero"`
	// Suspended is how long the machine slept since it booted.
	Suspended time.Duration `json:"suspended,omitempty"`
	// Strays are files that a process has open and that no path in its own
	// root leads to: a walk of an orphan looks for them by inode.
	Strays []OpenFile `json:"strays,omitempty"`
	// Removed are files of the data root that have no name any more and that
	// a process still has open: they take their space until it closes them.
	Removed []RemovedFile `json:"removed,omitempty"`
	// Before110 says that no Docker since 1.10 has used the data root: graph/
	// and containers/*/config.json are its records.
	Before110 bool `json:"before110,omitempty"`
	// InUse says what works with a data root on which no daemon answers: a
	// daemon that is starting, containers that outlive theirs, whoever
	// writes there. Sources tell it only where there is no daemon to ask.
	InUse []string `json:"inUse,omitempty"`
	// Prior are the storage drivers by whose trees a daemon that is not told
	// its driver chooses it, whether it uses them or not; Told says what does
	// tell it: "the daemon's command line". "" if nothing is known to.
	Prior []string `json:"prior,omitempty"`
	Told  string   `json:"told,omitempty"`
	// LostVolumes are volumes of the local driver that volumes/metadata.db lists
	// and whose directory is gone.
	LostVolumes []string `json:"lostVolumes,omitempty"`
	// LostBuilds are build records whose data is gone. Nothing is judged by them.
	LostBuilds []Loss `json:"lostBuilds,omitempty"`
	// LostImages are tags of images whose config is gone; LostTags has those too
	// of which that is not sure. Nothing is judged by them.
	LostImages []Loss `json:"lostImages,omitempty"`
	// LostTags are images that a tag or a container names and whose config
	// is gone.
	LostTags []string `json:"lostTags,omitempty"`
}

// A Loss is a record of something whose data is gone.
type Loss struct {
	Node Node   `json:"node"`
	What string `json:"what"`
}

// Unborn is the birth of what may have been made at any time.
var Unborn = time.Unix(0, 0).UTC()

// An OpenFile is a file that a process has open.
type OpenFile struct {
	FileKey
	By string `json:"by"` // "dockerd (pid 12)"
}

// A RemovedFile is a file that is gone from its directory and not from the disk.
type RemovedFile struct {
	OpenFile
	Path  string `json:"path"`  // as the process had it
	Bytes int64  `json:"bytes"` // st_blocks × 512
}

// HostInfo is what the daemon said about itself.
type HostInfo struct {
	EngineID string `json:"engineID,omitempty"`
	Version  string `json:"version,omitempty"`
	Driver   string `json:"driver,omitempty"`
}

// A Dormant is a storage driver that the daemon does not use.
type Dormant struct {
	Name string   // the driver's
	Node Node     // what stands for all of it
	IDs  []string // of its layers and their links, as far as their names tell
	// Paths are where all of it is, below the data root: in its own place or
	// in that of a run that took it.
	Paths []string
}

// Input is all that a backend or a source may touch. None of it can write.
type Input struct {
	Tree     Tree
	DataRoot string   // absolute and resolved, for what names paths: mount tables, configs, the API
	Aliases  []string // other absolute paths that lead to the data root, as configs may name them
	// Resolve returns where an absolute path of the machine leads, by
	// symbolic links and mounts, as a path that begins with DataRoot if it
	// leads there. nil: paths lead where they say.
	Resolve  func(abs string) (string, error)
	Host     Host   // what locating the daemon found
	Daemon   Daemon // nil: no daemon runs, everything is read from disk
	Info     DaemonInfo
	Machine  string                                                    // where the machine's own files begin: "/"; "" to leave them alone
	Proc     string                                                    // the process table: "/proc"
	Bolt     func(ctx context.Context, name string) (*bbolt.DB, error) // a consistent copy, checked; the caller closes it
	Mapper   dm.Mapper                                                 // the kernel's device mapper; nil: nothing of the data root is active
	Pools    zfs.Lister                                                // the kernel's zfs; nil: the datasets of the data root are not here
	Backends []*Backend                                                // those whose objects were enumerated
	Now      func() time.Time
	// Undecided says why it is not known which of the backends the daemon
	// uses; "" if it is.
	Undecided string
	// Dormant are the storage drivers that left something and that the daemon
	// does not use, once their source was read.
	Dormant []Dormant
	// Diffs are the contents of the registered layers and of the images' layers,
	// each by the first 64 bits of its id, once those were read. AllDiffs is
	// false if there may be more.
	Diffs    []uint64
	AllDiffs bool
	// Roots are data roots of other daemons beside this one's own directories,
	// once their source was read.
	Roots []Node

	Run      string      // the run of prune that goes on now; "" if none does
	KeepList []KeepEntry // what users say must stay
	// KeepsNothing are those of KeepList that are about nothing that is there,
	// once their source was read.
	KeepsNothing []KeepEntry
	Named        map[Node]bool // what the user removes by id, though it was restored once
}
