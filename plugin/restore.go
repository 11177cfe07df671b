package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/driver"
)

// restoreOptions are what restore can be told.
type restoreOptions struct {
	last   bool
	dryRun bool
	wait   bool
	as     string
	what   []string
}

func newRestoreCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options restoreOptions
	cmd := &cobra.Command{
		Use:   "restore [OPTIONS] RUN|ID [RUN|ID...]",
		Short: "Bring back what is in quarantine",
		Long: "Bring back what is in quarantine, to where it was: all that a run has put there\n" +
			"(see runs), or single things by their id. What is back is kept, until something\n" +
			"live names it or you remove it with rm. It works without a daemon too, with\n" +
			"--data-root, and where the data root was copied to another disk; but a volume\n" +
			"that the daemon made is made again by it, and then gets its content, and a\n" +
			"registered layer comes back only while none runs. A name that another volume\n" +
			"has by now is not taken from it: --as gives it another." +
			exitHelp(exitDone, exitError, exitPartly, exitBusy, exitUsage, exitInterrupted),
		Args:              usage(cobra.ArbitraryArgs),
		ValidArgsFunction: completeHeld(dockerCLI, global),
		RunE: func(cmd *cobra.Command, args []string) error {
			options.what = args
			if (len(args) == 0) != options.last {
				return usageError("'%s' requires either --last or at least 1 argument", cmd.CommandPath())
			}
			if options.as != "" && len(args) != 1 {
				return usageError("conflicting options: --as is for one volume")
			}
			return runRestore(cmd.Context(), dockerCLI, global, options)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&options.last, "last", false, "Bring back all of the last run that has anything in quarantine")
	f.BoolVar(&options.dryRun, "dry-run", false, "Show what would come back, and change nothing")
	f.StringVar(&options.as, "as", "", "Bring a volume back under another `NAME`")
	f.BoolVar(&options.wait, "wait", false, "Wait for another run to end")
	return cmd
}

func runRestore(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options restoreOptions) (err error) {
	q, err := global.quarantine(ctx, dockerCLI, options.wait, options.dryRun)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.close()) }()
	if options.dryRun {
		q.tell(dockerCLI.Err())
	}
	held, err := heldBeside(q.Runner)
	if err != nil {
		return err
	}
	var chosen []prune.Held
	var refused error
	switch {
	case !options.last:
		chosen, refused = chooseHeld(held, options.what)
	case len(held) == 0:
		return errors.New("nothing is in quarantine")
	default:
		chosen = lastHeld(held)
	}
	if options.as != "" && len(chosen) > 1 {
		return errors.New("--as is for one volume, and more is meant")
	}
	q.tellCopied(dockerCLI.Err(), chosen)
	slices.Reverse(chosen) // what others lie on went last, and comes back first
	var back []prune.Held
	done := "Restored"
	if options.dryRun {
		done = "Would restore"
		back, err = q.restorable(ctx, chosen, options.as)
	} else if options.as != "" && len(chosen) == 1 {
		if err = q.RestoreAs(ctx, chosen[0], options.as); err == nil {
			back = chosen
		}
	} else {
		back, err = q.Restore(ctx, chosen)
	}
	out := &printer{out: dockerCLI.Out(), progress: &progress{}}
	for _, h := range back {
		out.named(done, h.Step, cmp.Or(options.as, h.Step.Finding))
	}
	if len(back) > 0 && !options.dryRun {
		out.end()
		_, _ = fmt.Fprint(dockerCLI.Out(), restored(back, q.in))
	}
	if next := nextAfter(q.in, back); next != "" {
		_, _ = fmt.Fprintln(dockerCLI.Out(), next)
	}
	return q.status(refused, err, len(back))
}

// tellCopied says whose quarantine is taken for what it was: who copied the data
// root copied that, too.
func (s *session) tellCopied(w io.Writer, held []prune.Held) {
	for i, h := range held {
		if (i == 0 || held[i-1].Run != h.Run) && s.Copied(h.Run) {
			_, _ = fmt.Fprintf(w, "The data root was copied since run %s: what lies in its place is taken for what it was\n", h.Run.ID)
		}
	}
}

// restorable is what of the quarantine could be brought back.
func (s *session) restorable(ctx context.Context, chosen []prune.Held, as string) (back []prune.Held, err error) {
	var problems []error
	for _, h := range chosen {
		if err := s.Restorable(ctx, h, as, back...); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", scan.Printable(h.Step.Finding), err))
			continue
		}
		back = append(back, h)
	}
	return back, errors.Join(problems...)
}

// nextAfter says which storage driver the daemon chooses when it starts once all
// that another left is back; "" if none of that comes back (rule 13).
func nextAfter(in *scan.Input, back []prune.Held) string {
	var names []string
	for _, h := range back {
		if h.Step.Type == scan.TypeBackend {
			names = append(names, h.Step.Backend)
		}
	}
	if len(names) == 0 {
		return ""
	}
	prior, err := driver.Prior(in.Tree)
	told, errTold := driver.ToldOf(in, in.Host.Owner)
	if err = errors.Join(err, errTold); err != nil {
		return "Which storage driver the daemon chooses when it starts next is not known: " + scan.Printable(err.Error())
	}
	prior = append(prior, names...) // not there yet if nothing is to be changed
	slices.Sort(prior)
	prior = slices.Compact(prior)
	return "The daemon, when it starts next, " + driver.Next(prior, told.By, usedDriver(in)) + "."
}

// restored says what a person should know of what came back.
func restored(back []prune.Held, in *scan.Input) string {
	text := "What is back is kept until something live names it, or until you remove it: " + commandOn(in) + " rm ID\n"
	online := in.Daemon != nil
	records := slices.ContainsFunc(back, func(h prune.Held) bool {
		return h.Step.Type == scan.TypeRWLayer || h.Step.Type == scan.TypeContainer
	})
	if records && online {
		text += "The daemon reads records of containers when it starts: it sees them again after its next restart.\n"
	}
	loose := slices.ContainsFunc(back, func(h prune.Held) bool {
		return (h.Step.Type == scan.TypeVolume || h.Step.Type == scan.TypeBuilder) && h.Step.Volume == nil
	})
	if loose && online {
		text += "The daemon did not know this volume, and sees it after its next restart.\n"
	}
	return text
}
