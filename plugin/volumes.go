package plugin

import (
	"fmt"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
)

// isVolume reports whether a finding is a volume.
func isVolume(f *scan.Finding) bool { return f.Type == scan.TypeVolume || f.Type == scan.TypeBuilder }

// possible leaves out the volumes that cannot go now by any means, and says so.
func (r *removal) possible(findings []*scan.Finding) []*scan.Finding {
	why := map[string]*sum{}
	var order []string
	kept := findings[:0]
	for _, f := range findings {
		reason := prune.WhyNot(f, r.seen.graph.Host.Online)
		if reason == "" {
			kept = append(kept, f)
			continue
		}
		if why[reason] == nil {
			why[reason] = &sum{}
			order = append(order, reason)
		}
		why[reason].count++
	}
	for _, reason := range order {
		_, _ = fmt.Fprintf(r.cli.Err(), "Left: %d of the volumes: %s\n", why[reason].count, scan.Printable(reason))
	}
	return kept
}

// precious are the names of what in the plan holds data that nobody can make
// again.
func (r *removal) precious() []string {
	var names []string
	for i := range r.plan.Steps {
		if f := r.finding(&r.plan.Steps[i]); f.Precious {
			names = append(names, scan.Printable(shortID(f)))
		}
	}
	return names
}

// A preciousError refuses to remove, by force, data that nobody can make again.
type preciousError struct{ error }

// Hint says what a person can do.
func (preciousError) Hint() string {
	return "without --force you are asked to type its name"
}

// volumeNames are the names of the volumes that go, for the warning.
func (r *removal) volumeNames() []string {
	const shown = 10
	var names []string
	more := 0
	for i := range r.plan.Steps {
		f := r.finding(&r.plan.Steps[i])
		switch {
		case !isVolume(f):
		case len(names) < shown:
			names = append(names, scan.Printable(shortID(f)))
		default:
			more++
		}
	}
	if more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return names
}
