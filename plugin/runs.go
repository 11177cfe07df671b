package plugin

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// runsOptions are what runs can be told.
type runsOptions struct {
	quiet  bool
	format string
}

func newRunsCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options runsOptions
	cmd := &cobra.Command{
		Use:   "runs [OPTIONS]",
		Short: "List what prune and rm have done",
		Long: "List what prune and rm have done, the last run first, and what of it is still in\n" +
			"quarantine. It works without a daemon too, with --data-root." +
			exitHelp(exitDone, exitError, exitUsage, exitInterrupted),
		Args:              usage(cli.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runRuns(cmd.Context(), dockerCLI, global, options)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&options.quiet, "quiet", "q", false, "Only display IDs")
	f.StringVar(&options.format, "format", "", flags.FormatHelp)
	completeFlag(cmd, "format", completeFormat())
	return cmd
}

func runRuns(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options runsOptions) error {
	format := runFormat(options.format, options.quiet)
	if err := checkRunFormat(format); err != nil {
		return err
	}
	in, done, err := global.locate(ctx, dockerCLI)
	if err != nil {
		return err
	}
	defer func() { _ = done() }() // nothing was written
	runs, err := journal.Read(in.Tree)
	if err != nil {
		return err
	}
	held, err := (&prune.Runner{Tree: in.Tree}).Held()
	if err != nil {
		return err
	}
	slices.Reverse(runs)
	return writeRuns(formatter.Context{Output: dockerCLI.Out(), Format: format}, runs, held, time.Now())
}

// checkRunFormat tries a format on a run of our own making, so that a mistyped
// field is told before anything is read.
func checkRunFormat(format formatter.Format) error {
	sample := []*journal.Run{{ID: "sample"}}
	return mistyped(writeRuns(formatter.Context{Output: io.Discard, Format: format}, sample, nil, time.Now()))
}
