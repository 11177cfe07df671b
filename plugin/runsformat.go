package plugin

import (
	"encoding/json"
	"fmt"
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
	return "table {{.ID}}\t{{.When}}\t{{.State}}\t{{.Removed}}\t{{.InQuarantine}}\t{{.Until}}"
}

// writeRuns writes runs through the docker CLI's formatter. held is all that
// is in quarantine.
func writeRuns(ctx formatter.Context, runs []*journal.Run, held []prune.Held, now time.Time) error {
	err := ctx.Write(newRunContext(), func(format func(formatter.SubContext) error) error {
		for _, run := range runs {
			row := &runContext{run: run, now: now}
			for _, h := range held {
				if h.Run.ID == run.ID {
					row.held.add(prune.Bytes(h.Step))
				}
			}
			if err := format(row); err != nil {
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
	run  *journal.Run
	held sum // of it, in quarantine now
	now  time.Time
}

func newRunContext() *runContext {
	c := runContext{run: &journal.Run{}}
	c.Header = formatter.SubHeaderContext{
		"Schema": "SCHEMA", "ID": "RUN", "When": "WHEN", "BeganAt": "BEGAN AT", "State": "STATE",
		"Removed": "REMOVED", "InQuarantine": "IN QUARANTINE", "Until": "UNTIL", "UntilAt": "UNTIL",
	}
	return &c
}

// runJSON is one line of runs --format json. Names stay; a change of meaning
// changes Schema.
type runJSON struct {
	Schema       int
	ID           string
	BeganAt      *time.Time // null: it was cut off before it began
	State        string     // "done", "done in part", "interrupted"
	Removed      int        // findings that went, to quarantine too
	RemovedBytes int64
	Held         int // of those, in quarantine now
	HeldBytes    int64
	UntilAt      *time.Time // when the next prune frees them; null: nothing is in quarantine
}

// MarshalJSON makes {{json .}}, and so --format json.
func (c *runContext) MarshalJSON() ([]byte, error) {
	removed := c.removed()
	row := runJSON{
		Schema: schemaVersion, ID: c.run.ID, BeganAt: moment(c.run.Began), State: c.State(),
		Removed: removed.count, RemovedBytes: removed.bytes, Held: c.held.count, HeldBytes: c.held.bytes,
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
	if !c.run.Done {
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

// InQuarantine is what of it can still be brought back.
func (c *runContext) InQuarantine() string { return orDash(c.held.short()) }

// Until says how long that stays.
func (c *runContext) Until() string {
	switch {
	case c.held.count == 0 || c.run.Until.IsZero():
		return "-"
	case !c.now.Before(c.run.Until):
		return "the next prune"
	}
	return "in " + units.HumanDuration(c.run.Until.Sub(c.now))
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
