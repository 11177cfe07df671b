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

// A Budget is what limits leave of themselves while a run is put together.
type Budget struct {
	limits      Limits
	items       int
	space, free int64
}

// Budget returns the whole of it.
func (l Limits) Budget() *Budget { return &Budget{limits: l} }

// allows reports whether a thing of this size may go too.
func (b *Budget) allows(size int64) bool {
	l := b.limits
	return (l.Items == 0 || b.items < l.Items) && (l.Space == 0 || b.space+size <= l.Space) && (l.Free == 0 || b.free < l.Free)
}

// spend notes that a thing goes, and whether its space is free then.
func (b *Budget) spend(size int64, freed bool) {
	b.items++
	b.space += size
	if freed {
		b.free += size
	}
}

// Choose returns the findings of a plan that go within the limits, by their
// first part. They are taken in the plan's order; what is too large for the
// space that is left is passed over, and so is what has to go after that.
func (b *Budget) Choose(p *Plan) map[scan.Node]bool {
	chosen := map[scan.Node]bool{}
	passed := make([]bool, len(p.Steps))
	for i := range p.Steps {
		s := &p.Steps[i]
		size := Bytes(s)
		passed[i] = !b.allows(size) || slices.ContainsFunc(s.After, func(before int) bool { return passed[before-1] })
		if passed[i] {
			continue
		}
		chosen[s.Objects[0].Node] = true
		b.spend(size, !s.Waits() && s.Remover != journal.Marker)
	}
	return chosen
}
