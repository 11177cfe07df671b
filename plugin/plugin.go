// Package plugin is the command line of docker orphans: one file a command,
// and what they share.
//
// It promises what the docker CLI promises of its own commands: data goes to
// standard output and everything else to standard error, progress is shown
// only on a terminal, names that come from the disk or the daemon are
// escaped before they are printed, and the exit status says how it went (see
// exit.go). A command file is an options struct, newXCommand that only binds
// flags, and runX that does the work and can be called without cobra.
//
// The package decides nothing about storage: it finds the data root, has it
// scanned and judged, and shows what came out.
package plugin

import (
	"context"
	"fmt"
	"os"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/docker/cli/cli-plugins/plugin"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/debug"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel"
)

const (
	name  = "orphans"
	short = "Find and remove orphaned storage: layers, containers, volumes and downloads that nothing owns"
	home  = "https://github.com/docker-orphans/docker-orphans"
)

// Main runs the program with the process's arguments, as a plugin of the
// docker CLI or by itself, and returns the exit status.
func Main() int {
	collectLate()
	otel.SetErrorHandler(debug.OTELErrorHandler)
	ctx, end := interruptible(context.Background())
	defer end()
	out := &output{}
	dockerCLI, err := command.NewDockerCli(command.WithBaseContext(ctx), toStandardOutput(out))
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return exitError
	}
	if plugin.RunningStandalone() {
		err = runStandalone(ctx, dockerCLI)
	} else {
		err = runPlugin(ctx, end, dockerCLI)
	}
	return exit(dockerCLI.Err(), out.with(err))
}

// runPlugin runs as "docker orphans". It is what plugin.Run does, but leaves
// messages and exit statuses to us: plugin.Run prints an empty line for a
// status without a message, and knows no hints. The docker CLI, too, can end
// the context.
func runPlugin(ctx context.Context, end context.CancelFunc, dockerCLI *command.DockerCli) error {
	root := newRootCommand(dockerCLI, name)
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if err := plugin.PersistentPreRunE(cmd, args); err != nil {
			return err
		}
		context.AfterFunc(cmd.Context(), end)
		cmd.SetContext(ctx)
		return nil
	}
	return plugin.RunPlugin(dockerCLI, root, metadata.Metadata{
		SchemaVersion:    "0.1.0",
		Vendor:           "docker-orphans",
		Version:          currentBuild().Version,
		ShortDescription: short,
		URL:              home,
	})
}

// runStandalone runs as "docker-orphans", with the docker CLI's own global
// options (--host, --context, --config, TLS).
func runStandalone(ctx context.Context, dockerCLI *command.DockerCli) error {
	root := newRootCommand(dockerCLI, metadata.NamePrefix+name)
	root.SilenceUsage = true
	root.SilenceErrors = true
	root.TraverseChildren = true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetIn(dockerCLI.In())
	root.SetOut(dockerCLI.Out())
	root.SetErr(dockerCLI.Err())

	opts, flags := cli.SetupPluginRootCommand(root)
	top := cli.NewTopLevelCommand(root, dockerCLI, opts, flags)
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return top.Initialize() }
	_, args, err := top.HandleGlobalFlags()
	if err != nil {
		return err
	}
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// newRootCommand returns the command whose subcommands are all of ours.
func newRootCommand(dockerCLI command.Cli, use string) *cobra.Command {
	options := &globalOptions{}
	cmd := &cobra.Command{
		Use:   use + " [OPTIONS] COMMAND",
		Short: short,
		Long: short + ".\n\nNot to be confused with the orphan containers of Compose, which are those of\n" +
			"services that a compose file no longer names." + exitHelp(exitDone, exitError, exitUsage),
		Args:                  usage(cli.NoArgs),
		RunE:                  command.ShowHelp(dockerCLI.Err()),
		DisableFlagsInUseLine: true,
	}
	options.install(cmd.PersistentFlags())
	cmd.AddCommand(
		newListCommand(dockerCLI, options),
		newInspectCommand(dockerCLI, options),
		newWhichCommand(dockerCLI, options),
		newUsageCommand(dockerCLI, options),
		newCheckCommand(dockerCLI, options),
		newPruneCommand(dockerCLI, options),
		newRemoveCommand(dockerCLI, options),
		newRestoreCommand(dockerCLI, options),
		newPurgeCommand(dockerCLI, options),
		newRunsCommand(dockerCLI, options),
		newRescueCommand(dockerCLI, options),
		newExportCommand(dockerCLI, options),
		newVersionCommand(dockerCLI),
	)
	for _, sub := range cmd.Commands() {
		sub.DisableFlagsInUseLine = true
	}
	return cmd
}
