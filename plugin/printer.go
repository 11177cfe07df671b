package plugin

import (
	"fmt"
	"io"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// A printer prints ids as they go, under headings, in the docker CLI's style,
// and what goes on meanwhile as progress.
type printer struct {
	out      io.Writer
	progress *progress
	plan     *prune.Plan
	silent   bool // the output is for a machine
	heading  string
}

// event takes in what a run reports.
func (p *printer) event(e prune.Event) {
	switch {
	case e.Outcome == nil && e.Total > 0:
		p.progress.count(e.Text, e.Done, e.Total)
	case e.Outcome == nil:
		p.progress.show(e.Text + "…")
	case e.Outcome.End == journal.Freed:
		p.item("Deleted", p.plan.Step(e.Outcome.Step))
	case e.Outcome.End == journal.Quarantined:
		p.item("Quarantined", p.plan.Step(e.Outcome.Step))
	}
}

// item prints one id, below a heading if it is another than before.
func (p *printer) item(done string, s *prune.Step) { p.named(done, s, s.Finding) }

// named is item for what has another name now.
func (p *printer) named(done string, s *prune.Step, name string) {
	if p.silent {
		return
	}
	p.progress.clear()
	heading := done + " " + nounOf(s.Type).heading + ":"
	if heading != p.heading {
		p.end()
		p.heading = heading
		_, _ = fmt.Fprintln(p.out, heading)
	}
	_, _ = fmt.Fprintln(p.out, scan.Printable(name))
}

// end sets off what follows from the ids.
func (p *printer) end() {
	p.progress.clear()
	if p.heading != "" {
		_, _ = fmt.Fprintln(p.out)
	}
	p.heading = ""
}
