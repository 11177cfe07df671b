package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/go-units"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// runFormat chooses the format of runs.
func runFormat(source string, quiet bool) formatter.Format {
	switch {
	case quiet:
		return formatter.DefaultQuietFormat
	case source != "" && source != formatter.TableFormatKey:
		return formatter.Format(source)
	}
	return "table {{.ID}}\t{{.When}}\t{{.State}}\t{{.Removed}}\t{{.Restored}}\t{{.Purged}}\t{{.InQuarantine}}\t{{.Until}}"
}

// listedRuns are what runs lists.
type listedRuns struct {
	runs  []*journal.Run
	held  []prune.Held            // all that is in quarantine
	stays func(prune.Held) string // why something stays there; "" if it does not
	going string                  // the run that goes on now; "" if none does

	unread journal.UnreadError // of those runs whose journals cannot be read
}

// addUnread adds the runs whose journals cannot be read, and has the newest come
// first. Any other error it returns.
func (l *listedRuns) addUnread(err error) error {
	if err != nil && !errors.As(err, &l.unread) {
		return err
	}
	for _, problem := range l.unread {
		l.runs = append(l.runs, &journal.Run{ID: problem.Run})
	}
	slices.SortFunc(l.runs, func(a, b *journal.Run) int { return strings.Compare(b.ID, a.ID) })
	return nil
}

// row is that of a run, with what became of what it put into quarantine.
func (l *listedRuns) row(run *journal.Run, now time.Time) *runContext {
	row := &runContext{run: run, going: run.ID == l.going, now: now}
	for i := range l.unread {
		if l.unread[i].Run == run.ID {
			row.problem = l.unread[i].Error()
		}
	}
	held := map[int]bool{}
	for _, h := range l.held {
		if h.Run.ID == run.ID {
			held[h.Step.ID] = true
			row.held.add(prune.Bytes(h.Step))
			if l.stays(h) != "" {
				row.stays++
			}
		}
	}
	if run.Plan == nil {
		return row
	}
	for i := range run.Plan.Steps {
		switch s := &run.Plan.Steps[i]; {
		case held[s.ID]:
		case run.Restored(s.ID):
			row.restored.add(prune.Bytes(s))
		case run.Purged(s.ID):
			row.purged.add(prune.Bytes(s))
		}
	}
	return row
}

// writeRuns writes runs through the docker CLI's formatter.
func writeRuns(ctx formatter.Context, listed listedRuns, now time.Time) error {
	err := ctx.Write(newRunContext(), func(format func(formatter.SubContext) error) error {
		for _, run := range listed.runs {
			if err := format(listed.row(run, now)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return templateError(err)
	}
	return nil
}

// A runContext is one row: a method for each column and template field.
type runContext struct {
	formatter.HeaderContext
	run      *journal.Run
	going    bool   // it goes on now
	problem  string // why its journal cannot be read; "" if it was
	restored sum    // of what it put into quarantine
	purged   sum
	held     sum // in quarantine now
	stays    int // of that, what no prune frees
	now      time.Time
}

func newRunContext() *runContext {
	c := runContext{run: &journal.Run{}}
	c.Header = formatter.SubHeaderContext{
		"Schema": "SCHEMA", "ID": "RUN", "When": "WHEN", "BeganAt": "BEGAN AT", "State": "STATE", "Problem": "PROBLEM",
		"Removed": "REMOVED", "Restored": "RESTORED", "Purged": "PURGED", "InQuarantine": "IN QUARANTINE", "Until": "UNTIL", "UntilAt": "UNTIL",
	}
	return &c
}

// runJSON is one line of runs --format json. Names stay; a change of meaning
// changes Schema.
type runJSON struct {
	Schema        int
	ID            string
	BeganAt       *time.Time // null: it was cut off before it began
	State         string     // "done", "done in part", "running", "interrupted", "unreadable"
	Problem       string     // why it cannot be read; "" if it was
	Removed       int        // findings that went, to quarantine too
	RemovedBytes  int64
	Restored      int // of those, brought back from quarantine
	RestoredBytes int64
	Purged        int // freed from quarantine
	PurgedBytes   int64
	Held          int // in quarantine now
	HeldBytes     int64
	Stays         int        // of those, what no prune frees: a keep list or pruneFilters keep it
	UntilAt       *time.Time // when the next prune frees them; null: nothing is in quarantine
}

// MarshalJSON makes {{json .}}, and so --format json.
func (c *runContext) MarshalJSON() ([]byte, error) {
	removed := c.removed()
	row := runJSON{
		Schema: schemaVersion, ID: c.run.ID, BeganAt: moment(c.run.Began), State: c.State(), Problem: c.problem,
		Removed: removed.count, RemovedBytes: removed.bytes,
		Restored: c.restored.count, RestoredBytes: c.restored.bytes, Purged: c.purged.count, PurgedBytes: c.purged.bytes,
		Held: c.held.count, HeldBytes: c.held.bytes, Stays: c.stays,
	}
	if c.held.count > 0 {
		row.UntilAt = moment(c.run.Until)
	}
	return safeJSON(json.Marshal(row))
}

// Schema is the version of the fields.
func (*runContext) Schema() int { return schemaVersion }

// ID is the run's name, as restore and purge take it.
func (c *runContext) ID() string { return scan.Printable(c.run.ID) }

// When is for people: "5 weeks ago".
func (c *runContext) When() string {
	if c.run.Began.IsZero() {
		return "-"
	}
	return units.HumanDuration(c.now.Sub(c.run.Began)) + " ago"
}

// BeganAt is when it began, or "".
func (c *runContext) BeganAt() string {
	if c.run.Began.IsZero() {
		return ""
	}
	return c.run.Began.UTC().Format(time.RFC3339)
}

// State says how it ended.
func (c *runContext) State() string {
	switch {
	case c.problem != "":
		return "unreadable"
	case c.run.Done:
	case c.going:
		return "running"
	default:
		return "interrupted"
	}
	for _, o := range c.run.Outcomes {
		if !o.Gone() {
			return "done in part"
		}
	}
	return "done"
}

func (c *runContext) removed() sum {
	var gone sum
	for _, o := range c.run.Outcomes {
		if o.Gone() {
			gone.add(o.Bytes)
		}
	}
	return gone
}

// Removed is what went, to quarantine too: "3, 12MB".
func (c *runContext) Removed() string { return orDash(c.removed().short()) }

// Problem is why its journal cannot be read, or "".
func (c *runContext) Problem() string { return scan.Printable(c.problem) }

// Restored is what of it was brought back from quarantine.
func (c *runContext) Restored() string { return orDash(c.restored.short()) }

// Purged is what of it was in quarantine, and was freed for good.
func (c *runContext) Purged() string { return orDash(c.purged.short()) }

// InQuarantine is what of it can still be brought back.
func (c *runContext) InQuarantine() string { return orDash(c.held.short()) }

// Until says how long that stays.
func (c *runContext) Until() string {
	until := "in " + units.HumanDuration(c.run.Until.Sub(c.now))
	switch {
	case c.held.count == 0:
		return "-"
	case c.stays == c.held.count:
		return "kept"
	case c.run.Until.IsZero():
		return "-"
	case !c.now.Before(c.run.Until):
		until = "the next prune"
	}
	if c.stays > 0 {
		until += fmt.Sprintf(", %d kept", c.stays)
	}
	return until
}

// UntilAt is when the next prune may free it, or "".
func (c *runContext) UntilAt() string {
	if c.held.count == 0 || c.run.Until.IsZero() {
		return ""
	}
	return c.run.Until.UTC().Format(time.RFC3339)
}

// short is "3, 12MB", or "" for none.
func (s sum) short() string {
	if s.count == 0 {
		return ""
	}
	return fmt.Sprintf("%d, %s", s.count, units.HumanSize(float64(s.bytes)))
}
