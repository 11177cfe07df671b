package plugin

import (
	"path"
	"slices"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// evidence is what inspect prints of one finding. Field names, as those of ls
// --format json, stay; a change of meaning changes Schema. Times are RFC 3339
// in UTC; paths are absolute; sizes are bytes of disk blocks.
type evidence struct {
	Schema       int
	ID           string
	Type         string
	Backend      string
	Verdict      string
	Reason       string            // the verdict in a few words
	Default      bool              // prune takes it without being told
	NotDefault   string            // why it does not, though it is an orphan
	Precious     bool              // it holds data that nobody can make again
	Was          string            // what a person would call it
	Contents     *evidenceContents // of a backend: what is in it; null for all else
	Volume       *evidenceVolume   // of a volume: what is recorded of it; null for all else
	Origin       string            // a registry that has it
	Labels       evidenceLabels
	Path         string // where its bytes are
	Paths        []string
	SizeBytes    int64
	SizeComplete bool   // false: SizeBytes is a lower bound
	SizeAtMost   bool   // others may have some of SizeBytes too
	SizeProblem  string // the first thing that could not be read
	ChangedAt    *time.Time
	Age          string           // why age rules out work in flight, or does not
	Parts        []evidencePart   // the record first, then what it describes
	Proof        []evidenceAnswer // every source that had to be asked
	Doubts       []evidenceDoubt  // what keeps it from being judged
	Marks        []evidenceMark   // facts about it, and about what needs it, that are no references
	Because      []evidenceRef    // the references from what gives it its verdict down to it
	WouldBeLive  []string         // any of these would make it live
	Removal      evidenceRemoval
	Contract     evidenceContract // what the program promises of its type
}

// evidenceLabels are its labels, or its owner's. If they are not known, the
// record that would tell is gone.
type evidenceLabels struct {
	Known  bool
	Values map[string]string
	From   []string // the records and answers that they were read from
}

// evidenceVolume is what records and the daemon say of a volume.
type evidenceVolume struct {
	Driver   string // "" where nothing tells
	Scope    string
	Options  map[string]string
	Listed   bool   // the daemon lists it
	Recorded bool   // volumes/metadata.db has a row of it
	Mounts   string // what the daemon mounts over its data; "" if that lies in its directory
	LastUse  *evidenceUse
	Instance string // of a builder's: the file by which this user's buildx knows it; "" if there is none
}

// evidenceUse is what the daemon remembers of a volume's last use; null if
// nothing.
type evidenceUse struct {
	At        time.Time
	Container string // its name, or its id
	Service   string // "project/service" of Docker Compose; "" if it is of none
}

func newVolume(name string, v *scan.Volume) *evidenceVolume {
	if v == nil {
		return nil
	}
	out := &evidenceVolume{
		Driver: v.Driver, Scope: v.Scope, Options: v.Options, Listed: v.Listed, Recorded: v.Recorded, Mounts: v.Mounts,
		Instance: builderInstance(buildxConfig(), name),
	}
	if use := v.LastUse; use != nil {
		out.LastUse = &evidenceUse{use.At, use.Container, use.Service}
	}
	return out
}

// evidenceContents are the images and containers of a storage driver that the
// daemon does not use.
type evidenceContents struct {
	Images     []evidenceContent
	Containers []evidenceContent
	GoingBack  string // whether going back to the driver would find all of it
}

// evidenceContent is one image or container.
type evidenceContent struct {
	ID   string
	Name string
	Date *time.Time // when the image was made, the container last used
	Lost string     // what of it is gone, or cannot be read
}

func newContents(c *scan.Contents) *evidenceContents {
	if c == nil {
		return nil
	}
	list := func(all []scan.Content) []evidenceContent {
		shown := []evidenceContent{}
		for _, found := range all {
			shown = append(shown, evidenceContent{found.ID, found.Name, moment(found.Date), found.Lost})
		}
		return shown
	}
	return &evidenceContents{list(c.Images), list(c.Containers), c.Back()}
}

// evidencePart is one object of a finding and its stamp: device and mount id
// hold until the next boot.
type evidencePart struct {
	Kind    string
	Name    string // below the data root
	Paths   []string
	Medium  string
	Device  uint64
	Inode   uint64
	Mount   uint64
	Birth   *time.Time // null: the file system does not tell
	Change  *time.Time
	Missing string // the data that it names and that is not there
}

// evidenceAnswer is how the asking of one source went.
type evidenceAnswer struct {
	Source   string
	Complete bool // read to the end
	Note     string
	Began    *time.Time // null: not asked
	Ended    *time.Time
}

// evidenceDoubt is something that could not be read, or contradicts.
type evidenceDoubt struct {
	Source string
	Where  string
	Error  string
	Hint   string
	Covers string // what it keeps from being judged
}

// evidenceMark is a fact about one thing: that it is live, held or kept.
type evidenceMark struct {
	Thing   string
	Verdict string
	What    string
	Where   string // where it was read
}

// evidenceRef is a reference: From needs To.
type evidenceRef struct {
	From string
	To   string
	Why  string // the file or field that names it
}

// evidenceRemoval is how the finding goes and comes back.
type evidenceRemoval struct {
	Online  string
	Offline string
	Undo    string
}

// evidenceContract is the row of the contract that the finding stands in.
type evidenceContract struct {
	What          string
	Needs         []string
	Default       string
	LabelsFrom    string
	UnknownLabels string
	Age           string
}

// newEvidence gathers what is known of a finding.
func newEvidence(seen *look, f *scan.Finding) *evidence {
	contract := scan.ContractOf(f.Type)
	size := f.Size()
	e := &evidence{
		Schema: schemaVersion, ID: f.ID, Type: string(f.Type), Backend: f.Backend, Verdict: f.Verdict.String(),
		Reason: f.Reason, Default: f.Default, NotDefault: f.NotMine, Precious: f.Precious, Was: f.Was, Origin: f.Origin,
		Contents:  newContents(f.Parts[0].Note().Contents),
		Volume:    newVolume(path.Base(f.Parts[0].Name), f.Parts[0].Note().Volume),
		Labels:    evidenceLabels{Known: f.Labels.Known, Values: f.Labels.Values, From: slices.Concat([]string{}, f.Labels.From)},
		Path:      path.Join(seen.in.DataRoot, f.DataPath()),
		SizeBytes: size.Bytes, SizeComplete: size.Complete, SizeAtMost: size.AtMost, SizeProblem: size.Problem,
		ChangedAt: moment(f.Changed()), Age: f.Age,
		Parts: []evidencePart{}, Proof: answers(seen.graph, contract, f), Doubts: []evidenceDoubt{},
		Because: []evidenceRef{}, WouldBeLive: wouldBeLive(f.Type),
		Removal: evidenceRemoval{Online: contract.Online, Offline: contract.Offline, Undo: contract.Undo},
		Contract: evidenceContract{
			What: contract.What, Default: string(contract.Default), LabelsFrom: contract.Labels,
			UnknownLabels: string(contract.Unknown), Age: string(contract.Age),
		},
	}
	for _, need := range contract.Needs {
		e.Contract.Needs = append(e.Contract.Needs, string(need))
	}
	for _, o := range f.Parts {
		part := newPart(seen.in.DataRoot, o)
		e.Parts = append(e.Parts, part)
		e.Paths = append(e.Paths, part.Paths...)
	}
	for _, d := range f.Doubts {
		e.Doubts = append(e.Doubts, evidenceDoubt{Source: string(d.Source), Where: d.Where, Error: d.Err, Hint: d.Hint, Covers: covers(d.Scope)})
	}
	e.explain(seen, f)
	return e
}

// explain adds the references that lead to the finding and the facts about
// the things along them.
func (e *evidence) explain(seen *look, f *scan.Finding) {
	var along []scan.Node
	for _, o := range f.Parts {
		along = append(along, o.Node)
	}
	for _, r := range scan.Explain(seen.graph, seen.policy, f) {
		e.Because = append(e.Because, evidenceRef{titled(seen.graph, r.From), titled(seen.graph, r.To), r.Why.String()})
		along = append(along, r.From, r.To)
	}
	e.Marks = []evidenceMark{}
	for _, m := range seen.graph.Marks {
		if slices.Contains(along, m.Node) {
			e.Marks = append(e.Marks, evidenceMark{titled(seen.graph, m.Node), m.Verdict.String(), m.What, m.Where})
		}
	}
}

func newPart(root string, o *scan.Object) evidencePart {
	part := evidencePart{
		Kind: o.Kind.String(), Name: o.Name, Medium: string(o.Medium), Missing: o.Note().Missing,
		Device: o.Stamp.Device, Inode: o.Stamp.Inode, Mount: o.Stamp.Mount,
		Birth: moment(o.Stamp.Birth), Change: moment(o.Stamp.Change),
	}
	for _, p := range o.Paths() {
		part.Paths = append(part.Paths, path.Join(root, p))
	}
	return part
}

// answers lists how the asking of each needed source went, and the listing of
// the backend's objects.
func answers(g *scan.Graph, contract *scan.Contract, f *scan.Finding) []evidenceAnswer {
	needs := slices.Clone(contract.Needs)
	if f.Backend != "" && f.Type != scan.TypeBackend { // such a one's objects are not listed
		needs = slices.Insert(needs, 0, scan.SourceID("backend "+f.Backend))
	}
	proof := []evidenceAnswer{}
	for _, need := range needs {
		answer := evidenceAnswer{Source: string(need), Note: "not asked"}
		for _, r := range g.Reports {
			if r.Source == need {
				answer.Complete, answer.Note = r.Complete, r.Note
				answer.Began, answer.Ended = moment(r.Began), moment(r.Ended)
			}
		}
		proof = append(proof, answer)
	}
	return proof
}

// titled names a node for a person, with its kind.
func titled(g *scan.Graph, n scan.Node) string {
	title := g.TitleOf(n)
	if n.Kind == scan.KindImage || n.Kind == scan.KindContainer || title == n.Name {
		return title
	}
	return title + " (" + n.Name + ")"
}

// moment is a time for JSON; one that is not known is null.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
