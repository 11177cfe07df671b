package prune

import "github.com/docker-orphans/docker-orphans/scan/journal"

// A Result is what became of a run.
type Result struct {
	Run      string    `json:"run"`
	Plan     Plan      `json:"plan"`
	Outcomes []Outcome `json:"outcomes"`          // one a step, in the plan's order
	Stopped  string    `json:"stopped,omitempty"` // why the run ended before all steps were tried
}

// Partly reports whether any step did not go.
func (r *Result) Partly() bool {
	for _, o := range r.Outcomes {
		if !o.Gone() && o.End != journal.Pending {
			return true
		}
	}
	return r.Stopped != ""
}

// Bytes adds up what ended in one way.
func (r *Result) Bytes(end journal.End) int64 {
	var sum int64
	for _, o := range r.Outcomes {
		if o.End == end {
			sum += o.Bytes
		}
	}
	return sum
}
