package prune

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// These live beside the journal, for a quarantine is a source of references
// and scan reads it.
type (
	// Plan is what a run would do, in order.
	Plan = journal.Plan
	// Step removes one finding.
	Step = journal.Step
	// Outcome is what became of one step.
	Outcome = journal.Outcome
)

// Options say what a user wants of a plan.
type Options struct {
	Take  func(*scan.Finding) bool // which orphans go; nil: all but what goes only if it is named
	Purge bool                     // free at once what would go to quarantine
	Named bool                     // the user named each of them
	// Repair, if it is not nil, makes a plan of another kind: damaged records that
	// Take takes go to quarantine, and orphans that go with them; nothing else.
	// It is what was found before it was judged without them.
	Repair []scan.Finding
}

// NewPlan orders the removal of those of a scan's findings that the options
// take. Only orphans go; anything else is left out, and so is what a thing in
// quarantine would need to come back. What lies on another goes before it, and
// what goes by hand goes before what the daemon removes.
func NewPlan(g *scan.Graph, findings []scan.Finding, o Options) Plan {
	p := Plan{
		Version: journal.PlanVersion, DataRoot: g.Host.DataRoot, EngineID: g.Host.Info.EngineID, Offline: !g.Host.Online, Made: g.Host.Now,
	}
	d := newDraft(g, findings, o)
	for _, i := range d.order() {
		f := d.orphans[i]
		s := Step{
			ID: len(p.Steps) + 1, Finding: f.ID, Type: f.Type, Backend: f.Backend, Remover: d.remover(f),
			Objects: f.Parts, Refs: d.refs[i], Cause: f.Reason + "; " + f.Age, Was: f.Was, Named: o.Named,
		}
		if d.repair {
			s.Damaged, s.Named, s.Shields = f.Verdict == scan.Damaged, true, d.bereft(g, findings, o.Repair, i)
		} else {
			s.Shields = shields(g, findings, f)
		}
		switch {
		case s.Remover == journal.Adopt, s.Remover == journal.Daemon, f.Unrecorded():
		case s.Remover == journal.Marker:
			s.Marker = marker(f)
		default:
			s.Moves = moves(&s)
			s.Pins = pins(g, &s)
		}
		if slices.ContainsFunc(s.Moves, func(m journal.Move) bool { return m.Dataset.Name != "" }) {
			p.Version = journal.DatasetsVersion
		}
		p.Steps = append(p.Steps, s)
	}
	d.link(&p)
	return p
}

// remover is how a finding goes, by its type's contract.
func (d *draft) remover(f *scan.Finding) journal.Remover {
	switch {
	case d.repair:
		return journal.Quarantine
	case listed(f, d.online) && d.purge:
		return journal.Daemon
	case listed(f, d.online):
		return journal.Link
	case f.Type == scan.TypeImageLayer && d.online:
		return journal.Adopt
	case d.online && apart(f):
		return journal.Marker
	case d.purge:
		return d.free(f)
	case f.Type == scan.TypeRWLayer, f.Type == scan.TypeContainer, f.Type == scan.TypeBackend, f.Type == scan.TypeBuild, isVolume(f.Type), f.OfPlugin(),
		// Rule 11: it may be a container's, or an image's whose only record is lost,
		// or another daemon's that has its layers in the same dataset.
		f.Type == scan.TypeLayer && (f.MayBeContainers() || d.old || madeOf(f, scan.Dataset)):
		return journal.Quarantine
	}
	return d.free(f)
}

// free is how a finding goes that is freed at once.
func (d *draft) free(f *scan.Finding) journal.Remover {
	switch {
	case madeOf(f, scan.Dataset):
		return journal.Dataset
	case apart(f):
		return journal.Device
	}
	return journal.Free
}

// waits reports whether a finding goes to quarantine.
func (d *draft) waits(f *scan.Finding) bool {
	r := d.remover(f)
	return r == journal.Quarantine || r == journal.Link
}

// apart reports whether a part of a finding is of a medium that the storage
// driver keeps a state of its own about.
func apart(f *scan.Finding) bool {
	return slices.ContainsFunc(f.Parts, func(o *scan.Object) bool {
		return o.Medium != scan.Directory && o.Medium != scan.File && o.Medium != scan.Subvolume
	})
}

// madeOf reports whether a part of a finding is of a medium.
func madeOf(f *scan.Finding, m scan.Medium) bool {
	return slices.ContainsFunc(f.Parts, func(o *scan.Object) bool { return o.Medium == m })
}

// moves lists what goes by hand: the data first, then the links that lead to
// it, the record last, so that a scan still finds a thing of which only a part
// has gone. Of a registered layer the record goes first: to a daemon that is
// started on a record alone the layer is there, and every image that is pulled
// onto it is broken; one without a record it never sees. So it is with the file
// by which aufs knows a layer, and with a storage driver's image store and tree.
func moves(s *Step) []journal.Move {
	var data, links, records []journal.Move
	files := map[string]bool{}
	for _, o := range s.Objects {
		m := journal.Move{From: o.Path(), Is: journal.IdentityOf(o.Stamp, o.Note().Subvolume)}
		if o.Medium == scan.Dataset {
			m = journal.Move{From: o.Path(), Dataset: datasetOf(o)}
		}
		if o.Kind == scan.KindLayer || o.Kind == scan.KindPart || o.Kind == scan.KindBackend && o.Name == s.Backend {
			data = append(data, m)
			files[m.From] = o.Medium == scan.File
		} else {
			records = append(records, m)
		}
	}
	// What lies on another goes before it: the writable layer before its init.
	slices.SortStableFunc(data, func(a, b journal.Move) int {
		return cmp.Or(boolOrder(scan.IsInitID(path.Base(a.From)), scan.IsInitID(path.Base(b.From))), boolOrder(!files[a.From], !files[b.From]))
	})
	for _, r := range s.Refs {
		if id, ok := layerOf(s, r); ok {
			links = append(links, journal.Move{From: r.From.Name, Target: "../" + id + "/diff"})
		}
	}
	if recordsFirst(s) {
		return slices.Concat(records, links, data)
	}
	return slices.Concat(data, links, records)
}

// recordsFirst reports whether a step takes the record before the data, and so
// puts it back last.
func recordsFirst(s *Step) bool { return s.Type == scan.TypeImageLayer || s.Type == scan.TypeBackend }

// layerOf returns the id of the layer of a step that a short link leads to.
func layerOf(s *Step, r scan.Ref) (string, bool) {
	if r.Why != scan.ByLink || !slices.ContainsFunc(s.Objects, func(o *scan.Object) bool { return o.Node == r.To }) {
		return "", false
	}
	return path.Base(r.To.Name), true
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// pins lists the chains that the running daemon counts for a mount record: it
// loaded the record when it started and cannot be told that it has gone.
func pins(g *scan.Graph, s *Step) []scan.Node {
	if !g.Host.Online || s.Type != scan.TypeRWLayer {
		return nil
	}
	var chains []scan.Node
	for _, r := range s.Refs {
		if r.Why == scan.ByParent && r.To.Kind == scan.KindChain {
			chains = append(chains, r.To)
		}
	}
	return chains
}

// shields lists what cannot be judged only because this finding is there: the
// doubts that name it would go with it (rule 16).
func shields(g *scan.Graph, findings []scan.Finding, f *scan.Finding) []scan.Node {
	about := func(d scan.Doubt) bool {
		return slices.ContainsFunc(f.Parts, func(o *scan.Object) bool {
			return d.Where == o.Name || strings.HasPrefix(d.Where, o.Name+"/")
		})
	}
	if !slices.ContainsFunc(g.Doubts, about) {
		return nil
	}
	var nodes []scan.Node
	for i := range findings {
		if slices.ContainsFunc(findings[i].Doubts, about) {
			for _, o := range findings[i].Parts {
				nodes = append(nodes, o.Node)
			}
		}
	}
	return nodes
}
