package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
)

// quarantine opens a data root for restore or purge; it may be one of a daemon
// that is stopped. Where nothing is to be changed it is not locked.
func (o *globalOptions) quarantine(ctx context.Context, dockerCLI command.Cli, wait, readOnly bool) (*session, error) {
	if readOnly {
		in, done, err := o.locate(ctx, dockerCLI)
		if err != nil {
			return nil, err
		}
		s := &session{Runner: reader(in), in: in, close: done}
		_, s.trouble = journal.Read(in.Tree)
		if in.Daemon != nil {
			s.Volumes = prune.VolumesOf(dockerCLI.Client())
		}
		return s, nil
	}
	s, err := o.session(ctx, dockerCLI, newProgress(dockerCLI.Err()), sessionOptions{
		wait: wait, policy: prune.DefaultPolicy(), report: func(prune.Event) {},
	})
	if err == nil {
		s.tell(dockerCLI.Err())
	}
	return s, err
}

// reader reads what lies in quarantine, and changes nothing.
func reader(in *scan.Input) *prune.Runner {
	return &prune.Runner{Tree: in.Tree, ZFS: zfs.Zfs, Now: time.Now}
}

// heldBeside lists what lies in quarantine of runs whose journals can be read.
// What keeps others from being read is told elsewhere.
func heldBeside(r *prune.Runner) ([]prune.Held, error) {
	held, err := r.Held()
	var unread journal.UnreadError
	if errors.As(err, &unread) {
		return held, nil
	}
	return held, err
}

// status is how restore, purge and rescue exit: 4 if only some of what was
// meant went, 1 if something was meant that is not there.
func (s *session) status(refused, problem error, done int) error {
	switch {
	case errors.Is(problem, context.Canceled):
		return problem
	case refused != nil:
		return errors.Join(problem, refused)
	case problem != nil && done > 0:
		return cli.StatusError{Cause: problem, StatusCode: exitPartly}
	case problem == nil && s.trouble != nil:
		return silentExit(exitPartly)
	}
	return problem
}

// completeHeld completes runs, and the ids of what they have in quarantine. It
// is silent about whatever keeps it from knowing them.
func completeHeld(dockerCLI command.Cli, global *globalOptions) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		q, err := global.quarantine(ctx, dockerCLI, false, true)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer func() { _ = q.close() }() // nothing was written
		held, err := heldBeside(q.Runner)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var words []string
		last := ""
		for _, h := range held {
			if h.Run.ID != last {
				words = append(words, h.Run.ID)
			}
			last = h.Run.ID
			words = append(words, scan.Printable(scan.Short(h.Step.Finding)))
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// tellHeld lists what is meant, by run, before a person is asked.
func tellHeld(w io.Writer, held []prune.Held) {
	for i, h := range held {
		if i == 0 || held[i-1].Run.ID != h.Run.ID {
			until := ""
			if !h.Run.Until.IsZero() {
				until = ", in quarantine until " + stamp(h.Run.Until)
			}
			_, _ = fmt.Fprintf(w, "Run %s%s:\n", h.Run.ID, until)
		}
		was := ""
		if h.Step.Was != "" {
			was = " (" + scan.Printable(h.Step.Was) + ")"
		}
		_, _ = fmt.Fprintf(w, "  %s%s\n", stepName(h.Step), was)
	}
}
