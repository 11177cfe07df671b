package prune

import (
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// A draft is a plan in the making: which orphans go, and what must go before
// what. Orphans are known by their place in the list.
type draft struct {
	purge   bool
	repair  bool
	online  bool
	old     bool // a data root of Docker before 1.10
	orphans []*scan.Finding
	refs    [][]scan.Ref      // of each: what its objects need, and the links that lead to its layers
	before  [][]int           // of each: those that need it
	step    map[scan.Node]int // object → the orphan that it is part of

	stays  map[scan.Node]bool // objects of orphans that do not go
	wanted []bool             // of each: one that stays needs it
}

func newDraft(g *scan.Graph, findings []scan.Finding, o Options) *draft {
	d := &draft{purge: o.Purge, repair: o.Repair != nil, online: g.Host.Online, old: g.Host.Before110, stays: map[scan.Node]bool{}}
	for i := range findings {
		f := &findings[i]
		if d.repair && repairable(f, d.online) && o.takes(f) {
			d.orphans = append(d.orphans, f)
			continue
		}
		if f.Verdict != scan.Orphan {
			continue
		}
		if !d.repair && f.Stays(&g.Host) == "" && (d.purge || !f.Unrecorded()) && o.takes(f) {
			d.orphans = append(d.orphans, f)
			continue
		}
		for _, part := range f.Parts {
			d.stays[part.Node] = true
		}
	}
	d.connect(g)
	if needed := d.needed(); len(needed) > 0 {
		d.orphans = slices.DeleteFunc(d.orphans, func(f *scan.Finding) bool { return needed[f] })
		d.connect(g)
	}
	return d
}

// takes reports whether an orphan is to go: what is only reported never is, and
// what goes only if it is named is not meant by all.
func (o *Options) takes(f *scan.Finding) bool {
	switch scan.ContractOf(f.Type).Default {
	case scan.DefaultNever:
		return false
	case scan.DefaultUnlessNamed, scan.DefaultAllVolumes:
		if o.Take == nil {
			return f.Default
		}
	case scan.DefaultNo:
		return o.Take != nil && o.Take(f)
	}
	return o.Take == nil || o.Take(f)
}

// connect finds what the orphans need of each other. A short link stands
// between two layers and is neither's.
func (d *draft) connect(g *scan.Graph) {
	d.step = map[scan.Node]int{}
	for i, f := range d.orphans {
		for _, o := range f.Parts {
			d.step[o.Node] = i
		}
	}
	d.refs, d.before = make([][]scan.Ref, len(d.orphans)), make([][]int, len(d.orphans))
	d.wanted = make([]bool, len(d.orphans))
	leads := map[scan.Node][]scan.Node{}
	for r := range g.Refs {
		if r.Why.Leads() {
			leads[r.From] = append(leads[r.From], r.To)
		}
	}
	for r := range g.Refs {
		i, ok := d.step[r.From]
		if !ok && r.Why.Leads() {
			i, ok = d.step[r.To]
		}
		if ok {
			d.refs[i] = append(d.refs[i], r)
		}
		d.needs(r.From, r.To)
		for _, to := range leads[r.To] {
			d.needs(r.From, to)
		}
	}
}

// needs notes that whatever holds from must go before whatever holds to.
func (d *draft) needs(from, to scan.Node) {
	i, okFrom := d.step[from]
	j, okTo := d.step[to]
	if okTo && d.stays[from] {
		d.wanted[j] = true
	}
	if okFrom && okTo && i != j && !slices.Contains(d.before[j], i) {
		d.before[j] = append(d.before[j], i)
	}
}

// needed are the orphans that must stay: for another that stays, which would
// be damaged, or for one that goes to quarantine, which could not come back
// without them (rule 11).
func (d *draft) needed() map[*scan.Finding]bool {
	needed := map[*scan.Finding]bool{}
	for j, f := range d.orphans {
		if d.wanted[j] {
			needed[f] = true
		}
	}
	for again := true; again; {
		again = false
		for j, sooner := range d.before {
			f := d.orphans[j]
			if needed[f] {
				continue
			}
			aside := d.waits(f)
			for _, i := range sooner {
				by := d.orphans[i]
				stays := d.waits(by) && !aside || d.remover(by) == journal.Marker
				if needed[by] || stays {
					needed[f], again = true, true
				}
			}
		}
	}
	return needed
}

// order sorts the orphans so that each comes after those before it; among
// those that are free to go, by hand first, then as they are listed. A cycle,
// which no driver makes, is broken at its first.
func (d *draft) order() []int {
	waiting := make([]int, len(d.orphans)) // how many are still before each
	after := make([][]int, len(d.orphans))
	for i, sooner := range d.before {
		waiting[i] = len(sooner)
		for _, j := range sooner {
			after[j] = append(after[j], i)
		}
	}
	var hand, adopt []int // free to go, in the order of the list
	ready := func(i int) {
		queue := &hand
		if d.remover(d.orphans[i]) == journal.Adopt {
			queue = &adopt
		}
		at, _ := slices.BinarySearch(*queue, i)
		*queue = slices.Insert(*queue, at, i)
	}
	for i := range d.orphans {
		if waiting[i] == 0 {
			ready(i)
		}
	}
	var done []int
	gone := make([]bool, len(d.orphans))
	for len(done) < len(d.orphans) {
		i := d.next(&hand, &adopt, gone)
		gone[i] = true
		done = append(done, i)
		for _, j := range after[i] {
			if waiting[j]--; waiting[j] == 0 && !gone[j] {
				ready(j)
			}
		}
	}
	return done
}

// next takes the orphan that should go now: the first by hand that nothing is
// before, else the first such of the daemon's, else, in a cycle, the first.
func (d *draft) next(hand, adopt *[]int, gone []bool) int {
	for _, queue := range []*[]int{hand, adopt} {
		if len(*queue) > 0 {
			i := (*queue)[0]
			*queue = (*queue)[1:]
			return i
		}
	}
	return slices.Index(gone, false)
}

// link fills in which steps each step comes after.
func (d *draft) link(p *Plan) {
	place := map[*scan.Object]int{}
	for i := range p.Steps {
		place[p.Steps[i].Objects[0]] = p.Steps[i].ID
	}
	for i, f := range d.orphans {
		s := p.Step(place[f.Parts[0]])
		for _, j := range d.before[i] {
			s.After = append(s.After, place[d.orphans[j].Parts[0]])
		}
		slices.Sort(s.After)
	}
}
