package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/process"
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
		Long: "List what prune and rm have done, the last run first: what they removed, and what of\n" +
			"that was restored, was purged, or is in quarantine still. Until when says \"kept\" of\n" +
			"what a keep list names, or pruneFilters in config.json leave. A run of which nothing\n" +
			"is left is listed for 90 days. It works without a daemon too, with --data-root." +
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
	runs, unread := journal.Read(in.Tree)
	going, err := going(in, runs)
	if err != nil {
		return err
	}
	if going == "" { // one that had not ended when it was read may have since
		runs, unread = journal.Read(in.Tree)
	}
	listed := listedRuns{runs: runs, stays: staying(dockerCLI, global, in), going: going}
	if err := listed.addUnread(unread); err != nil {
		return err
	}
	if listed.held, err = heldBeside(reader(in)); err != nil {
		return err
	}
	if err := writeRuns(formatter.Context{Output: dockerCLI.Out(), Format: format}, listed, time.Now()); err != nil {
		return err
	}
	for _, problem := range listed.unread {
		_, _ = fmt.Fprintf(dockerCLI.Err(), "WARNING: run %s cannot be read: %s\n  hint: %s\n",
			scan.Printable(problem.Run), scan.Printable(problem.Error()), scan.Printable(problem.Hint()))
	}
	return nil
}

// going is the run that goes on now: the last, if who holds the lock began it;
// "" if none does. A restore or a purge that holds the lock began none.
func going(in *scan.Input, runs []*journal.Run) (string, error) {
	if len(runs) == 0 || runs[len(runs)-1].Done {
		return "", nil
	}
	last := runs[len(runs)-1]
	holder, err := process.Owner(in.Proc, in.DataRoot, filepath.Join(in.DataRoot, journal.Lock))
	if err != nil || holder == nil || last.Began.Before(holder.Started) {
		return "", err
	}
	return last.ID, nil
}

// staying says why prune leaves something in quarantine for longer than it was
// to be there: a keep list or the filters of config.json. What cannot be
// understood of those stops prune, and is only told here.
func staying(dockerCLI command.Cli, global *globalOptions, in *scan.Input) func(prune.Held) string {
	list, errList := global.keepList(dockerCLI.ConfigFile(), time.Now())
	filter, err := newPruneFilter(filter{}, dockerCLI.ConfigFile())
	if err = errors.Join(errList, err); err != nil {
		_, _ = fmt.Fprintf(dockerCLI.Err(), "WARNING: %s\n", scan.Printable(keepError{err}.Error()))
	}
	if filter == nil {
		filter = &pruneFilter{}
	}
	return func(h prune.Held) string {
		if !h.Run.Until.IsZero() && !h.Expires() {
			return "not back yet"
		}
		return staysFor(h, list, filter, &in.Host)
	}
}

// checkRunFormat tries a format on a run of our own making, so that a mistyped
// field is told before anything is read.
func checkRunFormat(format formatter.Format) error {
	sample := listedRuns{runs: []*journal.Run{{ID: "sample"}}}
	return mistyped(writeRuns(formatter.Context{Output: io.Discard, Format: format}, sample, time.Now()))
}
