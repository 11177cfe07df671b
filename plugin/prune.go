package plugin

import (
	"context"
	"fmt"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
)

type pruneOptions struct {
	force  bool
	purge  bool
	dryRun bool
	filter filter
}

func newPruneCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options pruneOptions
	cmd := &cobra.Command{
		Use:   "prune [OPTIONS]",
		Short: "Remove orphans",
		Args:  usage(cli.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPrune(cmd.Context(), dockerCLI, global, options)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&options.force, "force", "f", false, "Do not prompt for confirmation")
	f.BoolVar(&options.purge, "purge", false, "Free at once what would go to quarantine")
	f.BoolVar(&options.dryRun, "dry-run", false, "Show what would be done, and do nothing")
	f.Var(&options.filter, "filter", `Provide filter values (e.g. "label!=protected")`)
	return cmd
}

func runPrune(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options pruneOptions) error {
	p := newProgress(dockerCLI.Err())
	seen, err := global.look(ctx, dockerCLI, p)
	if err != nil {
		return err
	}
	defer func() { _ = seen.close() }()
	var candidates []*scan.Finding
	for _, f := range seen.findings {
		if f.Verdict == scan.Orphan && f.Default && options.filter.matchName(f, &seen.graph.Host) {
			candidates = append(candidates, f)
		}
	}
	if err := seen.measure(ctx, candidates, p); err != nil {
		return err
	}
	take := map[string]bool{}
	for _, f := range candidates {
		if options.filter.matchDeep(f) {
			take[f.ID] = true
		}
	}
	all := make([]scan.Finding, 0, len(seen.findings))
	for _, f := range seen.findings {
		all = append(all, *f)
	}
	plan := prune.NewPlan(seen.graph, all, prune.Options{Purge: options.purge, Take: func(f *scan.Finding) bool { return take[f.ID] }})
	_, _ = fmt.Fprint(dockerCLI.Out(), plan.String())
	if options.dryRun {
		return nil
	}
	s, err := global.session(ctx, dockerCLI, func(e prune.Event) {
		if e.Outcome != nil {
			fmt.Fprintln(dockerCLI.Out(), plan.Step(e.Outcome.Step).Finding, e.Outcome.End, e.Outcome.Reason)
		} else {
			fmt.Fprintln(dockerCLI.Err(), e.Text, e.Done, e.Total)
		}
	})
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	if _, err := s.Recover(ctx); err != nil {
		return err
	}
	r, err := s.Execute(ctx, plan, seen.graph.Host.Owner)
	if r != nil {
		fmt.Fprintln(dockerCLI.Out(), r.Run, r.Stopped, r.Partly())
	}
	return err
}
