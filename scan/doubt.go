package scan

import (
	"slices"
	"strings"
	"time"
)

// A SourceID names a source of references.
type SourceID string

// The sources. Each says what is in use; the [Contract] of a type names those
// that must have been read to the end before anything of it is an orphan.
const (
	SourceQuarantine SourceID = "quarantine" // .docker-orphans/runs: what earlier runs put aside
	SourceGraph      SourceID = "graph"      // graph and repositories-<driver>: images of Docker before 1.10
	SourceLayerDB    SourceID = "layerdb"    // image/<driver>/layerdb: chains, mount records, releases under way
	SourceContainers SourceID = "containers" // containers/*/config.v2.json
	SourceImageDB    SourceID = "imagedb"    // image/<driver>/imagedb and repositories.json
	SourceRegistries SourceID = "registries" // image/<driver>/distribution: what is remembered of registries' layers
	SourceOrigins    SourceID = "origins"    // image/<driver>/distribution: which registry has a layer
	SourceNames      SourceID = "names"      // what tells what a layer without a record was
	SourceBuildKit   SourceID = "buildkit"   // buildkit/*.db
	SourceBackends   SourceID = "backends"   // <driver>/ and image/<driver>/ of storage drivers that the daemon does not use
	SourceRoots      SourceID = "roots"      // data roots of other daemons within this one
	SourceDownloads  SourceID = "downloads"  // tmp, tmp-old, plugins: what the daemon downloads, unpacks and builds from
	SourceLeftovers  SourceID = "leftovers"  // rootfs, builder: what Docker used that the data root's does not
	SourcePlugins    SourceID = "plugins"    // plugins/<id>
	SourceVolumeDirs SourceID = "volumedirs" // volumes/*: what volumes there are
	SourceVolumes    SourceID = "volumes"    // volumes/metadata.db and opts.json: what volumes are made of, and data of old ones that lives among the layers
	SourceSwarm      SourceID = "swarm"      // swarm/worker/tasks.db
	SourceAPI        SourceID = "api"        // the daemon's answers
	SourceSight      SourceID = "sight"      // that the daemon sees the directories that were read
	SourceSystem     SourceID = "system"     // /etc/fstab and other configuration of the machine
	SourceMounts     SourceID = "mounts"     // the mount tables of every namespace
	SourceKeep       SourceID = "keep"       // keep lists: what users say must stay
	SourceProcesses  SourceID = "processes"  // open files, working directories and roots of every process
	SourceDevices    SourceID = "devices"    // what the kernel's device mapper has active and open
)

// A Report says how the reading of one source, or of one backend's objects,
// went. A source without a complete report keeps every type that needs it
// from being judged.
type Report struct {
	Source   SourceID  `json:"source"` // a source, or "backend <name>"
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
	Complete bool      `json:"complete"`       // read to the end
	Note     string    `json:"note,omitempty"` // what was found, or why there was nothing to ask
}

// A Doubt is something that a source could not read, or that contradicts
// another source. Whatever its Scope covers and nothing live names is unsure.
type Doubt struct {
	Source SourceID `json:"source"`
	Where  string   `json:"where"`          // the file or the API call
	Err    string   `json:"err"`            // what went wrong
	Hint   string   `json:"hint,omitempty"` // what a person can do about it
	Scope  Scope    `json:"scope,omitzero"`
	// Of is the node whose needs are not known, if the doubt is about that:
	// it counts only as long as the node itself is not free to go.
	Of Node `json:"of,omitzero"`
}

func (d Doubt) String() string {
	if strings.HasPrefix(d.Err, d.Where) {
		return d.Err // the error names its object already
	}
	return d.Where + ": " + d.Err
}

// A Scope is what a doubt keeps from being judged: the objects that match
// every field that is set. The zero Scope covers everything.
type Scope struct {
	Backend string    `json:"backend,omitempty"` // objects of this backend, and records of its image store
	Types   []Type    `json:"types,omitempty"`   // findings of these types
	Nodes   []Node    `json:"nodes,omitempty"`   // exactly these
	BuildID bool      `json:"buildID,omitempty"` // only the 25-character ids that BuildKit makes
	Since   time.Time `json:"since,omitzero"`    // only what was made at this time or later
}

// All reports whether the scope covers everything.
func (s Scope) All() bool {
	return s.Backend == "" && len(s.Types) == 0 && len(s.Nodes) == 0 && !s.BuildID && s.Since.IsZero()
}

// covers reports whether the scope takes in an object that stands in a
// finding of the given type.
func (s Scope) covers(o *Object, t Type) bool {
	return (len(s.Nodes) == 0 || slices.Contains(s.Nodes, o.Node)) && s.coversAmong(o, t)
}

// coversAmong is covers for one of the scope's nodes.
func (s Scope) coversAmong(o *Object, t Type) bool {
	switch {
	case s.Backend != "" && s.Backend != o.Backend:
		return false
	case len(s.Types) > 0 && !slices.Contains(s.Types, t):
		return false
	case s.BuildID && !IsBuildID(base(o.Name)):
		return false
	case !s.Since.IsZero() && o.Made().Before(s.Since):
		return false
	}
	return true
}

// A doubtIndex is a list of doubts in which each group finds its own quickly:
// there may be one for each of many nodes.
type doubtIndex struct {
	all    []Doubt
	wide   []int // the numbers of those that are not of certain nodes
	byNode map[Node][]int
}

func (x *doubtIndex) add(d Doubt) {
	number := len(x.all)
	x.all = append(x.all, d)
	if len(d.Scope.Nodes) == 0 {
		x.wide = append(x.wide, number)
		return
	}
	if x.byNode == nil {
		x.byNode = map[Node][]int{}
	}
	for _, n := range d.Scope.Nodes {
		x.byNode[n] = append(x.byNode[n], number)
	}
}

// of lists the doubts that cover any of the objects, in the order in which they
// were added.
func (x *doubtIndex) of(objects []*Object, t Type) []Doubt {
	var numbers []int
	for _, i := range x.wide {
		if slices.ContainsFunc(objects, func(o *Object) bool { return x.all[i].Scope.covers(o, t) }) {
			numbers = append(numbers, i)
		}
	}
	for _, o := range objects {
		for _, i := range x.byNode[o.Node] {
			if x.all[i].Scope.coversAmong(o, t) {
				numbers = append(numbers, i)
			}
		}
	}
	slices.Sort(numbers)
	var doubts []Doubt
	for _, i := range slices.Compact(numbers) {
		doubts = append(doubts, x.all[i])
	}
	return doubts
}
