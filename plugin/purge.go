package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/cli/cli/command"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/prune"
)

// purgeOptions are what purge can be told.
type purgeOptions struct {
	force   bool
	all     bool
	expired bool
	wait    bool
	what    []string
}

func newPurgeCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options purgeOptions
	cmd := &cobra.Command{
		Use:   "purge [OPTIONS] [RUN|ID...]",
		Short: "Free for good what is in quarantine",
		Long: "Free for good what is in quarantine: all that a run has put there (see runs), or\n" +
			"single things by their id. What keep lists name (see prune) is not freed. It works\n" +
			"without a daemon too, with --data-root." +
			exitHelp(exitDone, exitError, exitPartly, exitBusy, exitUsage, exitInterrupted),
		Args:              usage(cobra.ArbitraryArgs),
		ValidArgsFunction: completeHeld(dockerCLI, global),
		RunE: func(cmd *cobra.Command, args []string) error {
			options.what = args
			if err := options.check(cmd.CommandPath()); err != nil {
				return err
			}
			return runPurge(cmd.Context(), dockerCLI, global, options)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&options.force, "force", "f", false, "Do not prompt for confirmation")
	f.BoolVarP(&options.all, "all", "a", false, "Free all that is in quarantine")
	f.BoolVar(&options.expired, "expired", false, "Free what has been in quarantine long enough")
	f.BoolVar(&options.wait, "wait", false, "Wait for another run to end")
	return cmd
}

// check makes sure that the user says one thing.
func (o *purgeOptions) check(path string) error {
	said := 0
	for _, is := range []bool{o.all, o.expired, len(o.what) > 0} {
		if is {
			said++
		}
	}
	if said != 1 {
		return usageError("'%s' requires either --all, --expired or at least 1 argument", path)
	}
	return nil
}

// choose is what of the quarantine is meant.
func (o *purgeOptions) choose(held []prune.Held, online bool) ([]prune.Held, error) {
	switch {
	case o.all:
		return held, nil
	case o.expired:
		return prune.Expired(held, time.Now(), online), nil
	}
	return chooseHeld(held, o.what)
}

func runPurge(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options purgeOptions) (err error) {
	list, err := global.keepList(dockerCLI.ConfigFile(), time.Now())
	if err != nil {
		return keepError{err}
	}
	q, err := global.quarantine(ctx, dockerCLI, options.wait, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	held, err := heldBeside(q.Runner)
	if err != nil {
		return err
	}
	chosen, refused := options.choose(held, q.in.Daemon != nil)
	chosen, stays := prune.Within(chosen, func(h prune.Held) string { return h.KeptBy(list) }, prune.Limits{}.Budget())
	if len(options.what) > 0 {
		refused = errors.Join(refused, staysError(stays))
	} else {
		tellStays(dockerCLI.Err(), stays)
	}
	if !options.force && len(chosen) > 0 {
		tellHeld(dockerCLI.Out(), chosen)
		_, _ = fmt.Fprintln(dockerCLI.Out())
		w := warning{root: q.in.DataRoot, expired: sumHeld(chosen)}
		yes, err := confirm(ctx, dockerCLI, w.text())
		if err != nil || !yes {
			return errors.Join(err, refused)
		}
	}
	purged, err := q.Purge(ctx, chosen)
	out := &printer{out: dockerCLI.Out(), progress: &progress{}}
	var freed sum
	for _, h := range purged {
		out.item("Deleted", h.Step)
		freed.add(prune.Bytes(h.Step))
	}
	out.end()
	if refused == nil || len(purged) > 0 {
		_, _ = fmt.Fprintln(dockerCLI.Out(), "Total reclaimed space:", units.HumanSize(float64(freed.bytes)))
	}
	if ctx.Err() != nil {
		return errors.Join(silentExit(exitInterrupted), err, refused)
	}
	return q.status(refused, err, len(purged))
}
