package plugin

import (
	"fmt"

	"github.com/docker-orphans/docker-orphans/scan"
)

// isVolume reports whether a finding is a volume.
func isVolume(f *scan.Finding) bool { return f.Type == scan.TypeVolume || f.Type == scan.TypeBuilder }

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
