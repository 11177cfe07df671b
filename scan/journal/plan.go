package journal

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// The versions of a plan's form on disk.
const (
	PlanVersion     = 1
	DatasetsVersion = 2 // it moves datasets: who knows only version 1 would find them gone
)

// Known reports whether a plan is of a form that is known.
func (p *Plan) Known() bool { return p.Version == PlanVersion || p.Version == DatasetsVersion }

// A Remover is a way in which a finding goes.
type Remover string

// The removers so far.
const (
	Adopt      Remover = "adopt"      // the daemon takes the chain as an image, and removes that
	Quarantine Remover = "quarantine" // renamed to where it waits to be restored or freed
	Free       Remover = "free"       // renamed aside, and unlinked after the second look
	Device     Remover = "device"     // its record renamed aside, and its thin devices deleted after the second look, while no daemon runs
	Dataset    Remover = "dataset"    // renamed aside in its pool, its record too, and destroyed after the second look, while no daemon runs
	Marker     Remover = "marker"     // left to the daemon, which deletes what is marked as being removed when it stops (20.10 on)
	Link       Remover = "link"       // a volume: its files get second names where it waits to be restored or freed, then the daemon removes it
	Daemon     Remover = "daemon"     // a volume: the daemon removes it, for good
)

// A Plan is what a run would do, in order. It is data: it can be shown,
// saved, read again and verified. Nothing in it decides anything any more.
type Plan struct {
	Version  int       `json:"version"`
	DataRoot string    `json:"dataRoot"`
	Root     Identity  `json:"root"`               // of the data root's directory
	EngineID string    `json:"engineID,omitempty"` // "" where no daemon runs
	Offline  bool      `json:"offline,omitempty"`  // no daemon ran on the data root
	Made     time.Time `json:"made"`               // when the scan began that it was made from
	Steps    []Step    `json:"steps"`
}

// A Step removes one finding.
type Step struct {
	ID      int            `json:"id"` // from 1, its place in the plan
	Finding string         `json:"finding"`
	Type    scan.Type      `json:"type"`
	Backend string         `json:"backend,omitempty"`
	Remover Remover        `json:"remover"`
	Objects []*scan.Object `json:"objects"`           // as they were when the plan was made, walked where their age needed it
	Refs    []scan.Ref     `json:"refs,omitempty"`    // what they need, and the links that lead to them
	Moves   []Move         `json:"moves,omitempty"`   // what goes by hand, in this order
	Marker  string         `json:"marker,omitempty"`  // the directory that marks its layer as being removed
	Pins    []scan.Node    `json:"pins,omitempty"`    // chains that the running daemon counts until it restarts
	Shields []scan.Node    `json:"shields,omitempty"` // what could not be judged because of it, and never is (rule 16)
	Cause   string         `json:"cause"`             // why it may go
	Was     string         `json:"was,omitempty"`
	Volume  *Volume        `json:"volume,omitempty"`  // of a volume that the daemon removes: what it says of it
	Named   bool           `json:"named,omitempty"`   // the user named it: rm, not prune
	Damaged bool           `json:"damaged,omitempty"` // a record whose data is gone: check --repair
	After   []int          `json:"after,omitempty"`   // steps that must have gone before
}

// A Volume is what the daemon needs to be told to make a volume again.
type Volume struct {
	Name    string            `json:"name"`
	Driver  string            `json:"driver"`
	Options map[string]string `json:"options,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
}

// A Move takes one directory or file away from its path.
type Move struct {
	From   string   `json:"from"`             // below the data root
	Target string   `json:"target,omitempty"` // of a symbolic link: what it must lead to
	Is     Identity `json:"is,omitzero"`      // what must lie there; zero for a link, which its target tells
	// Dataset is what goes where no file does: From is then where the driver
	// mounts it.
	Dataset DatasetIdentity `json:"dataset,omitzero"`
}

// A DatasetIdentity is what a dataset of a pool is recognised by.
type DatasetIdentity struct {
	Name    string `json:"name"` // the whole name
	GUID    uint64 `json:"guid"` // no other ever has it
	Created int64  `json:"created"`
	Origin  string `json:"origin,omitempty"` // the snapshot that it began as
}

// An Identity is what a directory or file is recognised by, also after the
// machine was started again: mount ids and device numbers do not survive that
// (rule 8).
type Identity struct {
	Inode     uint64    `json:"inode,omitempty"`
	Birth     time.Time `json:"birth,omitzero"`      // zero where the file system does not tell
	Subvolume uint64    `json:"subvolume,omitempty"` // of a btrfs, whose top it is: all have the same inode
}

// IdentityOf is the identity of what has this stamp, and is the top of this
// subvolume if that is not 0.
func IdentityOf(s scan.Stamp, subvolume uint64) Identity {
	return Identity{Inode: s.Inode, Birth: s.Birth, Subvolume: subvolume}
}

// Fits reports whether the two are of the same thing.
func (i Identity) Fits(other Identity) bool {
	return i.Inode == other.Inode && i.Subvolume == other.Subvolume &&
		(i.Birth.IsZero() || other.Birth.IsZero() || i.Birth.Equal(other.Birth))
}

// Waits reports whether what the step takes waits in quarantine.
func (s *Step) Waits() bool { return s.Remover == Quarantine || s.Remover == Link }

// maxName is how long a name can be.
const maxName = 255

// Place is where a run puts what a move of a step takes, below the data root.
//
// A dataset stays in its pool, below the same parent. The driver asks for
// datasets by the names of its layers only, and so never for such a one. As
// any dataset there it is known by where the driver would mount it.
func (s *Step) Place(run string, move int) string {
	if s.Moves[move].Dataset.Name != "" {
		return path.Join(path.Dir(s.Moves[move].From), fmt.Sprintf("docker-orphans-%s-%d.%d", run, s.ID, move))
	}
	dir := "trash"
	if s.Waits() || s.Remover == Device || s.Remover == Dataset { // the trash goes as a whole, at once
		dir = "held"
	}
	name := fmt.Sprintf("%d.%d=%s", s.ID, move, path.Base(s.Moves[move].From))
	return path.Join(RunDir(run), dir, name[:min(len(name), maxName)])
}

// DatasetPlace is the name of the dataset that is in the place of a move that
// moves one.
func (s *Step) DatasetPlace(run string, move int) string {
	return path.Join(path.Dir(s.Moves[move].Dataset.Name), path.Base(s.Place(run, move)))
}

// Datasets adds the datasets that a step moves, by their names in its places.
func (s *Step) Datasets(run string, to map[string]*DatasetIdentity) {
	for m := range s.Moves {
		if d := &s.Moves[m].Dataset; d.Name != "" {
			to[s.DatasetPlace(run, m)] = d
		}
	}
}

// Step returns the step of a number, or nil.
func (p *Plan) Step(id int) *Step {
	if id < 1 || id > len(p.Steps) {
		return nil
	}
	return &p.Steps[id-1]
}

// String prints one line a step.
func (p Plan) String() string {
	var b strings.Builder
	for i := range p.Steps {
		s := &p.Steps[i]
		fmt.Fprintf(&b, "#%d %s %s %s, %s", s.ID, s.Remover, s.Type, scan.Printable(s.Finding), s.Cause)
		if len(s.After) > 0 {
			fmt.Fprintf(&b, " [after %s]", strings.Trim(fmt.Sprint(s.After), "[]"))
		}
		b.WriteString("\n")
	}
	return b.String()
}
