package plugin

import (
	"github.com/docker/cli/cli/command/formatter"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// planFormat is the table of what goes.
const planFormat = "table {{.ID}}\t{{.Type}}\t{{.Backend}}\t{{.Size}}\t{{.Goes}}\t{{.Was}}\t{{.Reason}}"

// A planContext is one row: a finding and how it goes.
type planContext struct {
	findingContext
	step *prune.Step
}

// Goes says how the finding goes.
func (c *planContext) Goes() string { return goes(c.step.Remover) }

// goes is a remover in a person's words.
func goes(r journal.Remover) string {
	switch r {
	case journal.Adopt:
		return "by the daemon"
	case journal.Daemon:
		return "by the daemon"
	case journal.Quarantine, journal.Link:
		return "to quarantine"
	case journal.Marker:
		return "at daemon stop"
	case journal.Free:
		return "at once"
	}
	return string(r)
}

// writePlan writes the table of what goes, in the plan's order.
func writePlan(r *removal) error {
	header := &planContext{findingContext: *newFindingContext()}
	header.Header.(formatter.SubHeaderContext)["Goes"] = "GOES" //nolint:forcetypeassert // newFindingContext made it
	l := listing{dataRoot: r.seen.in.DataRoot, now: r.seen.policy.Now, trunc: true, sizes: true}
	ctx := formatter.Context{Output: r.cli.Out(), Format: planFormat}
	return ctx.Write(header, func(format func(formatter.SubContext) error) error {
		for i := range r.plan.Steps {
			s := &r.plan.Steps[i]
			row := &planContext{findingContext: findingContext{f: r.finding(s), l: l}, step: s}
			if err := format(row); err != nil {
				return err
			}
		}
		return nil
	})
}
