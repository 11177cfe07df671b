package prune

import (
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// Limits bound what a run takes. Zero is no limit.
type Limits struct {
	Items int   // findings, at most
	Space int64 // bytes, at most: of what goes to quarantine too
	Free  int64 // bytes that are to become free: enough when they do
}

// Choose returns the findings of a plan that go within the limits, by their
// first part. They are taken in the plan's order; what is too large for the
// space that is left is passed over, and so is what has to go after that.
func (l Limits) Choose(p *Plan) map[scan.Node]bool {
	chosen := map[scan.Node]bool{}
	passed := make([]bool, len(p.Steps))
	var space, free int64
	for i := range p.Steps {
		s := &p.Steps[i]
		size := Bytes(s)
		passed[i] = l.Items > 0 && len(chosen) >= l.Items ||
			l.Space > 0 && space+size > l.Space ||
			l.Free > 0 && free >= l.Free ||
			slices.ContainsFunc(s.After, func(before int) bool { return passed[before-1] })
		if passed[i] {
			continue
		}
		chosen[s.Objects[0].Node] = true
		space += size
		if !s.Waits() && s.Remover != journal.Marker {
			free += size
		}
	}
	return chosen
}
