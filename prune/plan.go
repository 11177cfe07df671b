package prune

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// PlanVersion is the version of a plan's form on disk.
const PlanVersion = 1

// A Remover is a way in which a finding goes.
type Remover string

// The removers so far.
const (
	Adopt      Remover = "adopt"      // the daemon takes the chain as an image, and removes that
	Quarantine Remover = "quarantine" // renamed to where it waits to be restored or freed
	Free       Remover = "free"       // renamed aside, and unlinked after the second look
)

// A Plan is what a run would do, in order. It is data: it can be shown,
// saved, read again and verified. Nothing in it decides anything any more.
type Plan struct {
	Version  int    `json:"version"`
	DataRoot string `json:"dataRoot"`
	EngineID string `json:"engineID,omitempty"` // "" where no daemon runs
	Steps    []Step `json:"steps"`
}

// A Step removes one finding.
type Step struct {
	ID      int            `json:"id"` // from 1, its place in the plan
	Finding string         `json:"finding"`
	Type    scan.Type      `json:"type"`
	Remover Remover        `json:"remover"`
	Objects []*scan.Object `json:"objects"` // as they were when the plan was made
	Cause   string         `json:"cause"`   // why it may go
	After   []int          `json:"after,omitempty"`
}

// A Result is what became of a plan.
type Result struct {
	Plan  Plan      `json:"plan"`
	Steps []Outcome `json:"steps"`
}

// An Outcome is what became of one step.
type Outcome struct {
	Step   int    `json:"step"`
	Done   bool   `json:"done"`
	Reason string `json:"reason,omitempty"` // why it was not done
	Bytes  int64  `json:"bytes,omitempty"`  // disk space that it freed or moved
}

// NewPlan orders the removal of findings. Only orphans go; anything else
// among the findings is left out. What lies on another goes before it, and
// what goes by hand goes before what the daemon removes.
func NewPlan(g *scan.Graph, findings []scan.Finding) Plan {
	p := Plan{Version: PlanVersion, DataRoot: g.Host.DataRoot, EngineID: g.Host.Info.EngineID}
	step := map[scan.Node]int{} // object → its finding's place in orphans
	var orphans []*scan.Finding
	for i := range findings {
		if f := &findings[i]; f.Verdict == scan.Orphan {
			for _, o := range f.Parts {
				step[o.Node] = len(orphans)
			}
			orphans = append(orphans, f)
		}
	}
	waits := edges(g, step, len(orphans))
	for _, i := range order(orphans, waits) {
		f := orphans[i]
		p.Steps = append(p.Steps, Step{
			ID: len(p.Steps) + 1, Finding: f.ID, Type: f.Type, Remover: remover(f), Objects: f.Parts, Cause: f.Reason + "; " + f.Age,
		})
	}
	p.link(orphans, waits)
	return p
}

// remover is how a finding goes, by its type's contract.
func remover(f *scan.Finding) Remover {
	switch f.Type {
	case scan.TypeImageLayer:
		return Adopt
	case scan.TypeRWLayer, scan.TypeContainer:
		return Quarantine
	case scan.TypeLayer:
		if f.MayBeContainers() {
			return Quarantine // rule 11: it may be a container's
		}
	}
	return Free
}

// edges returns for each orphan those that must go before it: whatever needs
// it. A short link stands between two layers and is neither's.
func edges(g *scan.Graph, step map[scan.Node]int, n int) [][]int {
	leads := map[scan.Node][]scan.Node{}
	for r := range g.Refs {
		if r.Why == scan.ByLink {
			leads[r.From] = append(leads[r.From], r.To)
		}
	}
	before := make([][]int, n)
	add := func(from, to scan.Node) {
		i, okFrom := step[from]
		j, okTo := step[to]
		if okFrom && okTo && i != j && !slices.Contains(before[j], i) {
			before[j] = append(before[j], i)
		}
	}
	for r := range g.Refs {
		add(r.From, r.To)
		for _, to := range leads[r.To] {
			add(r.From, to)
		}
	}
	return before
}

// order sorts the orphans so that each comes after those before it; among
// those that are free to go, by hand first, then as they are listed. A cycle,
// which no driver makes, is broken at its first.
func order(orphans []*scan.Finding, before [][]int) []int {
	waiting := make([]int, len(orphans)) // how many are still before each
	after := make([][]int, len(orphans))
	for i, sooner := range before {
		waiting[i] = len(sooner)
		for _, j := range sooner {
			after[j] = append(after[j], i)
		}
	}
	var done []int
	gone := make([]bool, len(orphans))
	take := func(i int) {
		gone[i] = true
		done = append(done, i)
		for _, j := range after[i] {
			waiting[j]--
		}
	}
	for len(done) < len(orphans) {
		take(next(orphans, gone, waiting))
	}
	return done
}

// next is the orphan that should go now: the first by hand that nothing is
// before, else the first such of the daemon's, else, in a cycle, the first.
func next(orphans []*scan.Finding, gone []bool, waiting []int) int {
	adopt := -1
	for i, f := range orphans {
		if gone[i] || waiting[i] > 0 {
			continue
		}
		if remover(f) != Adopt {
			return i
		}
		if adopt < 0 {
			adopt = i
		}
	}
	if adopt >= 0 {
		return adopt
	}
	return slices.Index(gone, false)
}

// link fills in which steps each step comes after.
func (p *Plan) link(orphans []*scan.Finding, before [][]int) {
	place := map[*scan.Object]int{}
	for _, s := range p.Steps {
		place[s.Objects[0]] = s.ID
	}
	for i, f := range orphans {
		s := &p.Steps[place[f.Parts[0]]-1]
		for _, j := range before[i] {
			s.After = append(s.After, place[orphans[j].Parts[0]])
		}
		slices.Sort(s.After)
	}
}

// String prints one line a step.
func (p Plan) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "#%d %s %s %s, %s", s.ID, s.Remover, s.Type, scan.Printable(s.Finding), s.Cause)
		if len(s.After) > 0 {
			fmt.Fprintf(&b, " [after %s]", strings.Trim(fmt.Sprint(s.After), "[]"))
		}
		b.WriteString("\n")
	}
	return b.String()
}
