package plugin

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/scan"
)

// listOptions are what ls can be told.
type listOptions struct {
	all      bool
	quiet    bool
	noTrunc  bool
	noSize   bool
	exitCode bool
	format   string
	filter   filter
}

func newListCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options listOptions
	cmd := &cobra.Command{
		Use:               "ls [OPTIONS]",
		Aliases:           []string{"list"},
		Short:             "List orphans",
		Long:              listHelp(),
		Args:              usage(cli.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runList(cmd.Context(), dockerCLI, global, options)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&options.all, "all", "a", false, "Show everything that was found, with its verdict and what holds it")
	f.BoolVarP(&options.quiet, "quiet", "q", false, "Only display IDs")
	f.BoolVar(&options.noTrunc, "no-trunc", false, "Don't truncate output")
	f.BoolVar(&options.noSize, "no-size", false, "Don't measure sizes")
	f.BoolVar(&options.exitCode, "exit-code", false, "Exit with 2 if there are orphans, with 3 if there are only things that could not be judged")
	f.StringVar(&options.format, "format", "", flags.FormatHelp)
	f.VarP(&options.filter, "filter", "f", `Provide filter values (e.g. "type=layer")`)
	completeFlag(cmd, "format", completeFormat())
	completeFlag(cmd, "filter", completeFilter)
	return cmd
}

func listHelp() string {
	var b strings.Builder
	b.WriteString("List orphans: storage below the data root that nothing owns, and why.\n\nFilters:\n")
	for _, key := range filterKeys {
		fmt.Fprintf(&b, "  %-10s %s", key.name, key.doc)
		if values := valuesOf(key.name); len(values) > 0 {
			fmt.Fprintf(&b, ":\n             %s", strings.Join(values, ", "))
		}
		b.WriteString("\n")
	}
	b.WriteString("\nWithout sizes, the last change is that of a thing's own directory.")
	b.WriteString(exitHelp(exitDone, exitError, exitFound, exitUnsure, exitUsage, exitInterrupted))
	return b.String()
}

func runList(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options listOptions) error {
	format := findingFormat(options.format, options.quiet, options.all || len(options.filter.verdicts) > 0, !options.noSize)
	if err := checkFindingFormat(format); err != nil {
		return err
	}
	if options.quiet && options.format != "" {
		_, _ = fmt.Fprintln(dockerCLI.Err(), "WARNING: Ignoring custom format, because both --format and --quiet are set.")
	}
	p := newProgress(dockerCLI.Err())
	omitUsed := !options.all && len(options.filter.verdicts) == 0
	seen, err := global.lookFor(ctx, dockerCLI, p, lookOptions{omitUsed: omitUsed})
	if err != nil {
		return err
	}
	defer func() { _ = seen.close() }() // nothing was written

	chosen, err := choose(ctx, seen, options, p)
	if err != nil {
		return err
	}
	err = writeFindings(
		formatter.Context{Output: dockerCLI.Out(), Format: format},
		listing{dataRoot: seen.in.DataRoot, now: seen.policy.Now, trunc: !options.noTrunc, sizes: !options.noSize},
		chosen.shown)
	if err != nil {
		return err
	}
	if format.IsTable() && dockerCLI.Out().IsTerminal() {
		held, err := heldBeside(reader(seen.in))
		if err != nil {
			return err
		}
		_, _ = fmt.Fprint(dockerCLI.Out(), total(chosen.shown, sumHeld(held).all(), !options.noSize))
	}
	if dockerCLI.Err().IsTerminal() {
		_, _ = fmt.Fprint(dockerCLI.Err(), chosen.more())
	}
	doubts := doubtLines(chosen.unsure, unread(seen.graph))
	for _, line := range doubts {
		_, _ = fmt.Fprintln(dockerCLI.Err(), line)
	}
	return options.status(chosen, len(doubts) > 0)
}

// A choice is which findings ls shows, and what it says of the others.
type choice struct {
	shown  []*scan.Finding
	hidden map[scan.Verdict]int // that match the filters but not the verdict
	unsure []*scan.Finding      // shown or not
}

// choose applies the filters and measures what they leave.
func choose(ctx context.Context, seen *look, options listOptions, p *progress) (choice, error) {
	filter := options.filter
	if len(filter.verdicts) == 0 && !options.all {
		filter.verdicts = []string{scan.Orphan.String()}
	}
	c := choice{hidden: map[scan.Verdict]int{}}
	var candidates []*scan.Finding
	for _, f := range seen.findings {
		if !filter.matchName(f, &seen.graph.Host) {
			continue
		}
		if f.Verdict == scan.Unsure {
			c.unsure = append(c.unsure, f)
		}
		if filter.matchVerdict(f) {
			candidates = append(candidates, f)
		} else {
			c.hidden[f.Verdict]++
		}
	}
	if sizes := !options.noSize && !options.quiet; sizes || filter.deep() {
		if err := seen.measure(ctx, candidates, p); err != nil {
			return c, err
		}
	}
	for _, f := range candidates {
		if filter.matchDeep(f) {
			c.shown = append(c.shown, f)
		}
	}
	return c, nil
}

// more says what a person may want to know of what is not shown.
func (c *choice) more() string {
	var parts []string
	for _, v := range []scan.Verdict{scan.Damaged, scan.Young, scan.Held, scan.Unknown, scan.Unsure} {
		if n := c.hidden[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("Not shown: %s (see them with --all)\n", strings.Join(parts, ", "))
}

// status is how ls exits under --exit-code.
func (o *listOptions) status(c choice, doubts bool) error {
	if !o.exitCode {
		return nil
	}
	for _, f := range c.shown {
		if f.Verdict == scan.Orphan {
			return silentExit(exitFound)
		}
	}
	if doubts {
		return silentExit(exitUnsure)
	}
	return nil
}

// total is the line below the table. held is what is in quarantine.
func total(shown []*scan.Finding, held sum, sizes bool) string {
	all, left := newTally(), newTally()
	for _, f := range shown {
		if f.Verdict != scan.Orphan {
			continue
		}
		all.add(f)
		if !f.Default {
			left.add(f)
		}
	}
	noun := "orphans"
	if all.count == 1 {
		noun = "orphan"
	}
	line := "Total: " + all.text(noun, sizes)
	if left.count > 0 {
		line += " (" + left.text("not by default", sizes) + ")"
	}
	if held.count > 0 {
		line += "; in quarantine: " + held.things()
	}
	return line + "\n"
}

// A tally counts findings and their bytes.
type tally struct {
	count int
	usage scan.Usage
}

func newTally() tally { return tally{usage: scan.Usage{Complete: true}} }

func (t *tally) add(f *scan.Finding) {
	size := f.Size()
	t.usage.Complete = t.usage.Complete && size.Complete
	t.usage.AtMost = t.usage.AtMost || size.AtMost
	t.usage.Bytes += size.Bytes
	t.count++
}

// text is "2 things, 1.2GB".
func (t *tally) text(things string, sizes bool) string {
	text := fmt.Sprintf("%d %s", t.count, things)
	if !sizes {
		return text
	}
	return text + ", " + humanSize(t.usage)
}
