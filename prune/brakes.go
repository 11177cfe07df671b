package prune

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A Brake is a reason not to begin (rule 12). Each has a flag of its own, that
// is named for what it overrides. That two daemons share a data root has none:
// locating it refuses.
type Brake struct {
	Flag string // "allow-damaged"
	Why  string
	Hint string // what a person can do first
}

func (b *Brake) Error() string { return b.Why }

// The flags of the brakes.
const (
	AllowDamaged = "allow-damaged"
	AllowMost    = "allow-most"
	AllowBackend = "allow-backend"
)

// damageLooks is how many looks have to find that something in use is damaged.
const damageLooks = 3

// Lasting are those of what a look found lost that each of a few more looks
// finds lost too: a container that is just being removed has its record for a
// moment longer than its layer. look lists what is lost by then.
func Lasting(ctx context.Context, lost []scan.Doubt, policy Policy, look func(context.Context) ([]scan.Doubt, error)) ([]scan.Doubt, error) {
	for looks := 1; looks < damageLooks && len(lost) > 0; looks++ {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(policy.Settle):
		}
		now, err := look(ctx)
		if err != nil {
			return nil, err
		}
		still := map[string]bool{}
		for _, d := range now {
			still[d.String()] = true
		}
		lost = slices.DeleteFunc(lost, func(d scan.Doubt) bool { return !still[d.String()] })
	}
	return lost, nil
}

// Damaged is the brake for facts that contradict each other: something in use
// has lost what it needs. It returns nil if nothing has.
func Damaged(lost []scan.Doubt) *Brake {
	if len(lost) == 0 {
		return nil
	}
	why := lost[0].String()
	if n := len(lost) - 1; n > 0 {
		why += fmt.Sprintf(" (and %d more)", n)
	}
	return &Brake{
		Flag: AllowDamaged, Why: "something in use is damaged: " + why,
		Hint: "records or layers were lost, and what looks like an orphan may be what is missing: repair it first (bring back what was lost, or remove and pull again what is damaged)",
	}
}

// Whole is the brake for a plan that takes all that a storage driver left: a
// person types its name. It returns nil if the plan does not.
func Whole(p *Plan) *Brake {
	backends := Backends(p)
	if len(backends) == 0 {
		return nil
	}
	return &Brake{
		Flag: AllowBackend, Why: "all that the storage driver " + strings.Join(backends, " and ") + " left would go: its images and its containers",
		Hint: "without --force you are asked to type its name",
	}
}

// Backends are the storage drivers of which a plan takes all that they left.
func Backends(p *Plan) []string {
	var names []string
	for i := range p.Steps {
		if p.Steps[i].Type == scan.TypeBackend {
			names = append(names, p.Steps[i].Backend)
		}
	}
	slices.Sort(names)
	return names
}

// What a run may take of one backend without being asked.
const (
	mostOf   = 50 // layers; with fewer, most of them says little
	mostPart = 9  // of ten
)

// Most is the brake for a plan that takes most of what a backend has: nine
// tenths of at least 50 layers. It returns nil if it does not.
func Most(g *scan.Graph, p *Plan) *Brake {
	all, taken := map[string]int{}, map[string]int{}
	for i := range g.Objects {
		if o := &g.Objects[i]; o.Kind == scan.KindLayer {
			all[o.Backend]++
		}
	}
	for i := range p.Steps {
		for _, o := range p.Steps[i].Objects {
			if o.Kind == scan.KindLayer {
				taken[o.Backend]++
			}
		}
	}
	var backends []string
	for name, n := range all {
		if n >= mostOf && taken[name]*10 >= n*mostPart {
			backends = append(backends, name)
		}
	}
	if len(backends) == 0 {
		return nil
	}
	name := slices.Min(backends)
	return &Brake{
		Flag: AllowMost, Why: fmt.Sprintf("%d of the %d layers of %s would go", taken[name], all[name], name),
		Hint: "if images or containers are missing from docker images -a and docker ps -a, find out why first",
	}
}
