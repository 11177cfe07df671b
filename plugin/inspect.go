package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/cli/command/inspect"
	"github.com/docker/cli/cli/flags"
	"github.com/docker/cli/templates"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/scan"
)

// inspectOptions are what inspect can be told.
type inspectOptions struct {
	format string
	ids    []string
}

func newInspectCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect [OPTIONS] ID [ID...]",
		Short: "Display detailed information on one or more findings",
		Long: "Display the evidence for one or more findings as JSON: what was asked and when,\n" +
			"what it said, what would make the thing live, how it goes and comes back.\n" +
			"An ID may be cut, and have its type before it: layer:3f9c." +
			exitHelp(exitDone, exitError, exitUsage, exitInterrupted),
		Args:              usage(cli.RequiresMinArgs(1)),
		ValidArgsFunction: completeIDs(dockerCLI, global),
		RunE: func(cmd *cobra.Command, args []string) error {
			options.ids = args
			return runInspect(cmd.Context(), dockerCLI, global, options)
		},
	}
	cmd.Flags().StringVar(&options.format, "format", "", flags.InspectFormatHelp)
	completeFlag(cmd, "format", fixed(formatter.JSONFormatKey))
	return cmd
}

func runInspect(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options inspectOptions) error {
	if options.format != formatter.JSONFormatKey {
		if _, err := templates.Parse(options.format); err != nil {
			return templateError(err)
		}
	}
	p := newProgress(dockerCLI.Err())
	seen, err := global.look(ctx, dockerCLI, p)
	if err != nil {
		return err
	}
	defer func() { _ = seen.close() }() // nothing was written

	found := map[string]*scan.Finding{}
	var measured []*scan.Finding
	var problems []error
	for _, id := range options.ids {
		f, err := resolve(seen.findings, id)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		found[id] = f
		if !slices.Contains(measured, f) { // two ids may mean one thing
			measured = append(measured, f)
		}
	}
	if err := seen.measure(ctx, measured, p); err != nil {
		return err
	}
	return errors.Join(append([]error{show(dockerCLI, seen, options, found)}, problems...)...)
}

// show prints the evidence for what was found, in the order of the ids.
func show(dockerCLI command.Cli, seen *look, options inspectOptions, found map[string]*scan.Finding) error {
	printer, err := inspect.NewTemplateInspectorFromString(dockerCLI.Out(), options.format)
	if err != nil {
		return templateError(err)
	}
	for _, id := range options.ids {
		f, ok := found[id]
		if !ok {
			continue
		}
		e := newEvidence(seen, f)
		raw, err := safeJSON(json.Marshal(e))
		if err != nil {
			return err
		}
		if err := printer.Inspect(e, raw); err != nil {
			return templateError(err)
		}
	}
	return printer.Flush()
}
