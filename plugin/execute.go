package plugin

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
)

// execute carries out what was confirmed: expired quarantine first, which
// makes space, then the plan. It says what came of it.
func (r *removal) execute(ctx context.Context) error {
	pinned, err := r.pinned(ctx)
	if err != nil {
		return err
	}
	before, err := r.session.Disk.Free()
	if err != nil {
		return err
	}
	r.printer.plan = &r.plan
	a := r.aftermath(pinned)
	var problems []error
	if len(r.expired) > 0 {
		r.progress.show("Freeing expired quarantine…")
		purged, err := r.session.Purge(ctx, r.expired)
		for _, h := range purged {
			r.printer.item("Purged", h.Step)
			a.purged.add(prune.Bytes(h.Step))
		}
		problems = append(problems, err)
	}
	if len(r.plan.Steps) > 0 && ctx.Err() == nil {
		a.result, err = r.session.Execute(ctx, r.plan, r.seen.graph.Host.Owner)
		problems = append(problems, err)
	}
	r.progress.clear()
	if a.result == nil && a.purged.count == 0 {
		if err := errors.Join(append(problems, ctx.Err())...); err != nil {
			return err // it did not begin
		}
	}
	after, err := r.session.Disk.Free()
	problems = append(problems, err)
	a.measured = after - before
	held, err := r.session.Held()
	problems = append(problems, err)
	a.held = sumHeld(held).all()
	problems = append(problems, r.report(a))
	return r.status(ctx, a, errors.Join(problems...))
}

// pinned are those that only the daemon's memory keeps, and that a prune takes
// after its next restart: not what quarantine or another orphan still needs.
func (r *removal) pinned(ctx context.Context) ([]*scan.Finding, error) {
	if r.before != nil {
		return nil, nil // nothing of it is freed
	}
	restarted := scan.Restarted(r.seen.graph, r.seen.policy)
	if restarted == nil {
		return nil, nil
	}
	taken, orphan := among(r.taken), map[scan.Node]bool{}
	for _, f := range r.seen.findings {
		orphan[f.Parts[0].Node] = f.Verdict == scan.Orphan
	}
	plan := prune.NewPlan(r.seen.graph, restarted, prune.Options{Purge: r.options.purge, Take: func(f *scan.Finding) bool {
		return taken(f) || f.Default && !orphan[f.Parts[0].Node]
	}})
	goes := map[scan.Node]bool{}
	for i := range plan.Steps {
		goes[plan.Steps[i].Objects[0].Node] = true
	}
	var pinned []*scan.Finding
	for i := range restarted {
		if f := &restarted[i]; goes[f.Parts[0].Node] && !orphan[f.Parts[0].Node] {
			pinned = append(pinned, f)
		}
	}
	return pinned, r.seen.measure(ctx, pinned, r.progress)
}

// report prints what came of it. If that fails it is said on standard error
// where what is in quarantine is.
func (r *removal) report(a *aftermath) error {
	err := r.print(a)
	var failed *outputError
	if errors.As(err, &failed) {
		_, _ = fmt.Fprint(r.cli.Err(), a.text())
	}
	return err
}

func (r *removal) print(a *aftermath) error {
	if r.options.format != "" {
		return r.writeJSON(a)
	}
	r.printer.end()
	r.tellChanged()
	r.tellLeft()
	for _, line := range a.skipped() {
		_, _ = fmt.Fprintln(r.cli.Err(), line)
	}
	_, err := fmt.Fprint(r.cli.Out(), a.text())
	return err
}

// status is how a run exits.
func (r *removal) status(ctx context.Context, a *aftermath, problem error) error {
	switch {
	case ctx.Err() != nil:
		return errors.Join(silentExit(exitInterrupted), problem)
	case problem != nil:
		return problem
	case a.result != nil && a.result.Partly(), len(r.changed) > 0, r.session.trouble != nil:
		return silentExit(exitPartly)
	}
	return nil
}
