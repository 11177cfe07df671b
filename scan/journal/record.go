package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Version is the version of a journal's form on disk.
const Version = 1

// A Kind is what a record of a journal says.
type Kind string

// The kinds of records, in the order in which a run writes them. Each is on
// stable storage before what it announces is done.
const (
	Begun   Kind = "begun"   // the confirmed plan; nothing was touched yet
	Looked  Kind = "looked"  // everything was renamed and looked at again: Steps are to be carried to their end, all others were put back
	Done    Kind = "done"    // what became of each step
	Restore Kind = "restore" // Steps are to be brought back from quarantine
	Made    Kind = "made"    // for the volume of one of Steps that is being brought back the daemon made an empty one, Is
	Purge   Kind = "purge"   // Steps in quarantine are to be freed for good
)

// A Record is one line of a journal.
type Record struct {
	Version int           `json:"version"`
	Kind    Kind          `json:"record"`
	Time    time.Time     `json:"time"`
	Plan    *Plan         `json:"plan,omitempty"`     // of Begun
	Owner   *scan.Process `json:"owner,omitempty"`    // of Begun: the daemon; nil if none ran
	Until   time.Time     `json:"until,omitzero"`     // of Begun: when the quarantine ends
	At      Identity      `json:"at,omitzero"`        // of Begun: the run's directory
	Steps   []int         `json:"steps,omitempty"`    // of Looked, Restore, Made and Purge
	As      string        `json:"as,omitempty"`       // of Restore: the name that a volume gets, if not its own
	Is      Identity      `json:"is,omitzero"`        // of Made
	Results []Outcome     `json:"outcomes,omitempty"` // of Done
}

// An End is how a step ended.
type End string

// The ends of steps.
const (
	Freed       End = "freed"       // unlinked, or deleted by the daemon
	Quarantined End = "quarantined" // waits to be restored or purged
	Skipped     End = "skipped"     // not touched: it had changed, or something was in the way
	PutBack     End = "put back"    // taken, found to be wanted or in doubt, and put back
	KeptByOwner End = "kept"        // the daemon still counts it, and says so
	Pending     End = "pending"     // marked: the daemon deletes it when it stops, unless a later run takes the mark away
	Left        End = "left"        // begun, and could not be finished; a later run does
)

// An Outcome is what became of one step.
type Outcome struct {
	Step   int    `json:"step"`
	End    End    `json:"end"`
	Reason string `json:"reason,omitempty"` // why it did not go
	Bytes  int64  `json:"bytes,omitempty"`  // disk space that it freed, or that waits in quarantine
}

// Gone reports whether the step's finding is not where it was any more.
func (o Outcome) Gone() bool { return o.End == Freed || o.End == Quarantined }

// Line is the record as a line of a journal.
func (r *Record) Line() ([]byte, error) {
	line, err := json.Marshal(r)
	return append(line, '\n'), err
}

// Parse reads a journal. A last line without its end is one that a crash cut
// off: it announced something that was not begun. Any other line that is not
// understood is an error, for it may say what must not be touched.
func Parse(id string, data []byte) (*Run, error) {
	run := &Run{ID: id, taken: map[int]bool{}, intents: map[int]intent{}}
	for n := 1; len(data) > 0; n++ {
		line, rest, ended := bytes.Cut(data, []byte("\n"))
		if !ended {
			break
		}
		data = rest
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if err := run.add(&r); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return run, nil
}

func (run *Run) add(r *Record) error {
	switch {
	case r.Version != Version:
		return fmt.Errorf("version %d: written by another version of docker orphans", r.Version)
	case (r.Kind == Begun) != (run.Plan == nil):
		return errors.New("a journal begins with one plan")
	case r.Kind != Begun:
	case r.Plan == nil:
		return errors.New("no plan")
	case !r.Plan.Known():
		return fmt.Errorf("plan version %d: written by another version of docker orphans", r.Plan.Version)
	}
	for _, id := range r.Steps {
		if run.Plan.Step(id) == nil {
			return fmt.Errorf("step %d: not in the plan", id)
		}
	}
	switch r.Kind {
	case Begun:
		return run.begin(r)
	case Looked:
		run.Looked = true
		for _, id := range r.Steps {
			run.taken[id] = true
		}
	case Done:
		run.Done, run.Outcomes = true, r.Results
	case Restore:
		if r.As != "" && !scan.IsVolumeName(r.As) {
			return fmt.Errorf("%q is not a volume's name", r.As)
		}
		run.intend(r)
	case Made:
		for _, id := range r.Steps {
			was := run.intents[id]
			was.made = &r.Is
			run.intents[id] = was
		}
	case Purge:
		run.intend(r)
	default:
		return fmt.Errorf("record %q: not known", r.Kind)
	}
	return nil
}

// begin takes in the plan. Places are made from it, so a plan that was
// tampered with or damaged must not lead elsewhere.
func (run *Run) begin(r *Record) error {
	run.Plan, run.Began, run.Until, run.Owner, run.At = r.Plan, r.Time, r.Until, r.Owner, r.At
	for i := range run.Plan.Steps {
		s := &run.Plan.Steps[i]
		if s.ID != i+1 || len(s.Objects) == 0 {
			return fmt.Errorf("step %d: not a step", s.ID)
		}
		var paths []string
		if s.Marker != "" {
			paths = append(paths, s.Marker)
		}
		for _, m := range s.Moves {
			paths = append(paths, m.From)
			if d := m.Dataset.Name; d != "" && (path.Dir(d) == "." || path.Base(d) != path.Base(m.From) || strings.ContainsAny(d, "@#\n\t")) {
				return fmt.Errorf("step %d: %q is not the dataset of %q", s.ID, d, m.From)
			}
		}
		for _, p := range paths {
			if !below(p) {
				return fmt.Errorf("step %d: %q is not a path below the data root", s.ID, p)
			}
		}
	}
	return nil
}

// intend notes what is meant to become of steps in quarantine: what was said
// last counts.
func (run *Run) intend(r *Record) {
	for _, id := range r.Steps {
		run.intents[id] = intent{kind: r.Kind, time: r.Time, as: r.As}
	}
}
