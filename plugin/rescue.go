package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/prune/adopt"
	"github.com/docker-orphans/docker-orphans/prune/rescue"
	"github.com/docker-orphans/docker-orphans/scan"
)

// rescueOptions are what rescue can be told.
type rescueOptions struct {
	tag  string
	wait bool
	ids  []string
}

func newRescueCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options rescueOptions
	cmd := &cobra.Command{
		Use:   "rescue [OPTIONS] ID [ID...]",
		Short: "Make images of one or more orphans instead of removing them",
		Long: "Make images of orphans instead of removing them: an image-layer gets a tag, with\n" +
			"all that it lies on, and an rw-layer becomes an image of what its container had\n" +
			"written. A tag that an image has already is never moved. It needs a daemon, which\n" +
			"keeps the images: of a data root without one, export writes them to an archive. An\n" +
			"ID may be cut, and have its type before it: rw-layer:3f9c." +
			exitHelp(exitDone, exitError, exitPartly, exitBusy, exitUsage, exitInterrupted),
		Args:              usage(cli.RequiresMinArgs(1)),
		ValidArgsFunction: completeOrphans(dockerCLI, global),
		RunE: func(cmd *cobra.Command, args []string) error {
			options.ids = args
			if options.tag != "" && len(args) > 1 {
				return usageError("conflicting options: --tag is the name of one image, and %d were asked for", len(args))
			}
			return runRescue(cmd.Context(), dockerCLI, global, options)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&options.tag, "tag", "t", "", `Name of the image (default "orphans/rescued:ID")`)
	f.BoolVar(&options.wait, "wait", false, "Wait for another run to end")
	return cmd
}

func runRescue(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options rescueOptions) (err error) {
	if err := global.needsDaemon(ctx, dockerCLI); err != nil {
		return err
	}
	r, err := global.removal(ctx, dockerCLI, &removeOptions{wait: options.wait}, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	refused, err := r.name(ctx, global, options.ids)
	if err != nil {
		return err
	}
	defer r.progress.clear()
	var problems []error
	done := 0
	for _, f := range r.taken {
		r.progress.show("Rescuing " + scan.Printable(shortID(f)) + "…")
		rescued, err := rescue.Rescue(ctx, rescue.Request{
			Daemon: adopt.Engine(dockerCLI.Client()), Tree: r.seen.in.Tree, Host: &r.seen.graph.Host, Finding: f, Tag: options.tag,
		})
		r.progress.clear()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s %s: %w", f.Type, shortID(f), err))
			continue
		}
		done++
		tellRescued(dockerCLI.Out(), dockerCLI.Err(), f, rescued)
	}
	return r.session.status(refused, errors.Join(problems...), done)
}

// needsDaemon refuses a data root without a daemon, before anything is locked.
func (o *globalOptions) needsDaemon(ctx context.Context, dockerCLI command.Cli) error {
	in, closeRoot, err := o.locate(ctx, dockerCLI)
	if err != nil {
		return err
	}
	if err := closeRoot(); err != nil || in.Daemon != nil {
		return err
	}
	return idleError{fmt.Errorf("%s: no daemon runs on it to keep the images that rescue makes", scan.Printable(in.DataRoot)), commandOn(in)}
}

// An idleError is that of what only a daemon can do.
type idleError struct {
	error
	command string
}

// Hint says what a person can do.
func (e idleError) Hint() string {
	return "start Docker first; or write an archive for docker load: " + e.command + " export -o FILE ID"
}

// tellRescued says what became of one orphan.
func tellRescued(out, errOut io.Writer, f *scan.Finding, rescued rescue.Rescued) {
	for _, left := range rescued.LeftOut {
		_, _ = fmt.Fprintf(errOut, "Left out: %s\n", scan.Printable(left))
	}
	_, _ = fmt.Fprintf(out, "Rescued %s %s: %s\n", f.Type, scan.Printable(shortID(f)), rescued.Tag)
	if f.Type == scan.TypeRWLayer {
		_, _ = fmt.Fprintf(errOut, "The image is a copy: prune or rm removes the layer itself\n")
	}
}
