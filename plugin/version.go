package plugin

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/cli/flags"
	"github.com/docker/cli/templates"
	"github.com/spf13/cobra"
)

// The linker sets these (-X); a build without them reads what the go command
// recorded.
var (
	Version string
	Commit  string
)

// A build says which program this is.
type build struct {
	Version   string
	Commit    string
	GoVersion string
	Os        string
	Arch      string
}

// versionFormat is what version prints by default.
const versionFormat = `Version:    {{.Version}}
Commit:     {{.Commit}}
Go version: {{.GoVersion}}
OS/Arch:    {{.Os}}/{{.Arch}}`

func currentBuild() build {
	b := build{Version: Version, Commit: Commit, GoVersion: runtime.Version(), Os: runtime.GOOS, Arch: runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Version = cmp.Or(b.Version, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = cmp.Or(b.Commit, s.Value)
			}
		}
	}
	b.Version = cmp.Or(b.Version, "unknown")
	b.Commit = cmp.Or(b.Commit, "unknown")
	return b
}

func newVersionCommand(dockerCLI command.Cli) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:               "version [OPTIONS]",
		Short:             "Show the version of this program",
		Long:              "Show the version of this program. No daemon is asked." + exitHelp(exitDone, exitError, exitUsage),
		Args:              usage(cli.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			return runVersion(dockerCLI.Out(), format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "", flags.InspectFormatHelp)
	completeFlag(cmd, "format", fixed(formatter.JSONFormatKey))
	return cmd
}

func runVersion(out io.Writer, format string) error {
	switch format {
	case "":
		format = versionFormat
	case formatter.JSONFormatKey:
		format = formatter.JSONFormat
	}
	tmpl, err := templates.Parse(format)
	if err != nil {
		return templateError(err)
	}
	if err := tmpl.Execute(out, currentBuild()); err != nil {
		return templateError(err)
	}
	_, err = fmt.Fprintln(out)
	return err
}
