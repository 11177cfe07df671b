package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/docker/cli/cli/command"

	"github.com/docker-orphans/docker-orphans/scan"
)

// runRepair looks for damage, and sets aside what is in the way of healing it.
func runRepair(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options *checkOptions) (err error) {
	options.allowDamaged = true // that is what it is about
	r, err := global.removal(ctx, dockerCLI, &options.removeOptions, options.dryRun)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	r.expired = nil // freeing what has expired is for prune
	c := r.seen.checkup()
	if _, err := io.WriteString(dockerCLI.Out(), c.text()); err != nil {
		return err
	}
	repairs := scan.FindRepairs(r.seen.graph, r.seen.policy)
	if err := r.without(ctx, global, repairs); err != nil {
		return err
	}
	for _, left := range repairs.Left {
		_, _ = fmt.Fprintf(dockerCLI.Err(), "Not repaired: image %s: %s\n", scan.Printable(r.seen.graph.TitleOf(left.Image)), scan.Printable(left.Why))
	}
	if len(r.plan.Steps) == 0 {
		_, _ = fmt.Fprintln(dockerCLI.Out(), "Nothing can be repaired by setting records aside.")
		return c.status()
	}
	if err := r.brake(ctx); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(dockerCLI.Out())
	if err := r.carryOut(ctx); err != nil {
		return err
	}
	if options.dryRun {
		return c.status() // it is as it was
	}
	if len(repairs.Left) > 0 {
		return silentExit(exitFound)
	}
	return nil
}

// without judges anew, as if there were none of the images that are set aside,
// and plans what goes.
func (r *removal) without(ctx context.Context, global *globalOptions, repairs *scan.Repairs) error {
	l := r.seen
	r.before = l.values()
	l.policy.Without, l.findings, l.byHead = repairs.Without, nil, nil
	findings, err := scan.Judge(ctx, l.in, l.graph, l.policy)
	if err != nil {
		return err
	}
	for i := range findings {
		f := &findings[i]
		l.findings = append(l.findings, f)
		if repairs.Takes(f) {
			r.taken = append(r.taken, f)
		}
	}
	if r.session != nil {
		r.session.Look = global.looker(r.cli, repairs.Without)
	}
	if err := l.measure(ctx, r.taken, r.progress); err != nil {
		return err
	}
	r.makePlan(nil)
	r.taken = slices.DeleteFunc(r.taken, among(r.left())) // what cannot be set aside now, such as what a daemon has in memory
	return nil
}
