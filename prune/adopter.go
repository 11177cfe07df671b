package prune

import (
	"context"
	"slices"

	"github.com/docker-orphans/docker-orphans/prune/adopt"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// AdoptWith returns an [Adopter] that asks a daemon. Records are read from a
// tree that stays open.
func AdoptWith(d adopt.Daemon, tree scan.Tree) Adopter {
	return func(ctx context.Context, seen *Sight, steps []*Step) []Outcome {
		a := &adoption{of: map[string]int{}}
		index := indexOf(seen)
		var going []scan.Finding
		for i, s := range steps {
			a.outcomes = append(a.outcomes, Outcome{Step: s.ID, End: journal.Skipped, Reason: "not tried"})
			a.of[s.Finding] = i
			if f := index.of[s.Objects[0].Node]; f != nil {
				going = append(going, *f)
			}
		}
		cascades, left := adopt.Cascades(seen.Graph, going)
		for _, l := range left {
			a.end(l.Finding, journal.Skipped, l.Reason)
		}
		for _, c := range cascades {
			if ctx.Err() != nil || !a.take(c, adopt.Adopt(ctx, d, tree, c)) {
				break
			}
		}
		return a.outcomes
	}
}

// An adoption gathers what became of the steps of one batch.
type adoption struct {
	outcomes []Outcome
	of       map[string]int // finding → its step's place in outcomes
}

func (a *adoption) end(finding string, end journal.End, reason string) {
	if i, ok := a.of[finding]; ok {
		a.outcomes[i].End, a.outcomes[i].Reason = end, reason
	}
}

// take notes what became of one cascade. It reports false if nothing more may
// be adopted before everything was read anew.
func (a *adoption) take(c adopt.Cascade, r adopt.Result) bool {
	for _, l := range c.Falls {
		switch {
		case r.Outcome.Done() || slices.Contains(r.Chains, l.Chain):
			a.end(l.Finding, journal.Freed, "")
		case r.Outcome == adopt.KeptByDaemon || r.Outcome == adopt.Taken:
			a.end(l.Finding, journal.KeptByOwner, r.Reason)
		default:
			a.end(l.Finding, journal.Skipped, r.Reason)
		}
	}
	return !r.Outcome.Rescan()
}
