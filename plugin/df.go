package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/cli/flags"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/dm"
	"github.com/docker-orphans/docker-orphans/scan/space"
	"github.com/docker-orphans/docker-orphans/scan/thin"
	"github.com/docker-orphans/docker-orphans/scan/whose"
)

// usageOptions are what df can be told.
type usageOptions struct {
	verbose bool
	format  string
}

func newUsageCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options usageOptions
	cmd := &cobra.Command{
		Use:   "df [OPTIONS]",
		Short: "Show what takes the space below the data root and containerd's",
		Long: "Show what takes the space below the data root: one walk of all of it, each inode in one\n" +
			"line, so that the lines add up; blocks that files share count once.\n" +
			"Next to it stands what docker system df says.\n\n" +
			"The root of the daemon's containerd, if it is elsewhere, follows with lines and a total of\n" +
			"its own. With images in containerd nothing is judged: what no image, container or build\n" +
			"there needs is \"not judged\".\n\n" +
			"How full the thin pool of devicemapper is follows the total. With -v each container's log\n" +
			"has its limit: max-size by max-file, or none.\n\n" +
			"Sizes are what is taken on disk. The walk enters no other file system." +
			exitHelp(exitDone, exitError, exitPartly, exitUsage, exitInterrupted),
		Args:              usage(cli.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runUsage(cmd.Context(), dockerCLI, global, options)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&options.verbose, "verbose", "v", false, "Show each thing that takes space")
	f.StringVar(&options.format, "format", "", flags.FormatHelp)
	completeFlag(cmd, "format", completeFormat())
	return cmd
}

func runUsage(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options usageOptions) error {
	format := usageFormat(options.format, options.verbose)
	sample := &usageRows{ledger: &space.Ledger{Items: []*space.Item{{}}}, verbose: options.verbose}
	if err := mistyped(sample.write(formatter.Context{Output: io.Discard, Format: format})); err != nil {
		return err
	}
	p := newProgress(dockerCLI.Err())
	seen, err := global.lookFor(ctx, dockerCLI, p, lookOptions{containerd: true})
	if err != nil {
		return err
	}
	defer func() { _ = seen.close() }() // nothing was written
	rows, err := seen.usageRows(ctx, dockerCLI, p, options.verbose)
	if err != nil {
		return err
	}
	if err := rows.write(formatter.Context{Output: dockerCLI.Out(), Format: format}); err != nil {
		return err
	}
	if format.IsTable() {
		if err := rows.remarks(dockerCLI.Out()); err != nil {
			return err
		}
	}
	if rows.ledger.Partial || rows.apart != nil && rows.apart.Partial {
		return silentExit(exitPartly)
	}
	return nil
}

// usageRows walks the data root, and asks the daemon meanwhile what it knows.
func (l *look) usageRows(ctx context.Context, dockerCLI command.Cli, p *progress, verbose bool) (*usageRows, error) {
	mounts, err := space.Mounts(l.in)
	if err != nil {
		return nil, err
	}
	rows := &usageRows{in: l.in, removed: l.graph.Host.Removed, verbose: verbose, containerd: l.containerd, trouble: l.containerdTrouble()}
	if verbose {
		rows.index = whose.NewIndex(l.in, l.graph, l.findings, l.containerd)
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		if l.in.Daemon != nil {
			rows.docker, rows.dockerErr = askDocker(ctx, dockerCLI.Client())
		}
	}()
	defer p.clear()
	count := func(done, total int) { p.count("Measuring", done, total) }
	inside, outside := l.containerd, l.containerd
	if c := l.containerd; c != nil && c.Below == "" {
		inside = nil
	} else {
		outside = nil
	}
	rows.ledger, err = space.Measure(ctx, l.in, l.graph, l.findings, mounts, inside, count)
	if err == nil && outside != nil {
		rows.apart, err = space.MeasureContainerd(ctx, l.in, outside, count)
	}
	p.show("Waiting for what docker system df says…")
	<-told
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	rows.pool, rows.poolErr = backend.UsageOfPool(ctx, l.in)
	rows.disk, err = space.FileSystemOf(l.in.DataRoot)
	return rows, err
}

// about says how full a file system is.
func about(f space.FileSystem) string {
	text := fmt.Sprintf("a file system of %s, of which %s are used", human(f.Size), human(f.Used))
	if f.Reserved() > 0 {
		text += fmt.Sprintf(", and %s are reserved for root", human(f.Reserved()))
	}
	return text
}

// shown is how many of a list a remark names.
const shown = 3

// remarks says what the table cannot: what is not in it, and what helps.
func (r *usageRows) remarks(w io.Writer) error {
	var lines []string
	if r.disk.Size > 0 {
		lines = append(lines, r.in.DataRoot+" is on "+about(r.disk)+".")
	}
	lines = append(lines, r.poolRemarks()...)
	if mounts := realMounts(r.ledger.Mounts); len(mounts) > 0 {
		lines = append(lines, "Not counted, as another file system is mounted there: "+some(mounts)+".")
	}
	if len(r.removed) > 0 {
		lines = append(lines, "Deleted, and still open until the process closes them or ends: "+some(r.removedFiles())+".")
	}
	if logs := r.ledger.UnlimitedLogs(r.in.Tree); len(logs) > 0 {
		var names []string
		for _, i := range logs {
			names = append(names, i.Name)
		}
		lines = append(lines, "Logs without a limit: "+some(names)+". For containers made from now on, in daemon.json:\n"+
			`    "log-opts": {"max-size": "10m", "max-file": "3"}`)
	}
	lines = append(lines, r.oddities()...)
	lines = append(lines, r.trouble...)
	switch {
	case r.dockerErr != nil:
		lines = append(lines, "docker system df does not answer: "+scan.Printable(r.dockerErr.Error()))
	case r.docker != nil:
		lines = append(lines, "docker system df adds up the lengths of files, of what the daemon knows.")
	}
	if len(lines) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(lines, "\n"))
	return err
}

// oddities are what is not known to be Docker's, or could not be read.
func (r *usageRows) oddities() []string {
	var lines []string
	var others, unknown []string
	for _, part := range r.parts() {
		for _, i := range part.ledger.Items {
			if i.Account == space.Namespaces {
				others = append(others, scan.Printable(i.Name))
			}
			if i.Account == space.Unknown {
				unknown = append(unknown, scan.Printable(i.Name)+", "+humanSize(scan.Usage{Bytes: i.Bytes, AtMost: i.AtMost, Complete: i.Complete}))
			}
			if !i.Complete {
				lines = append(lines, "Could not be read to the end: "+scan.Printable(i.Path+": "+i.Problem))
			}
		}
	}
	if len(unknown) > 0 {
		lines = append(lines, "Not known to be Docker's (unknown): "+some(unknown)+".")
	}
	if len(others) > 0 {
		lines = append(lines, "Others than Docker use this containerd too, in the namespaces "+some(others)+".")
	}
	return lines
}

// poolRemarks says how full the thin pool is that layers are in.
func (r *usageRows) poolRemarks() []string {
	if r.poolErr != nil {
		line := "How full the thin pool with the layers is, is not known: " + scan.Printable(r.poolErr.Error())
		if hint := dm.Dmsetup.Hint(r.poolErr); hint != "" {
			line += "; " + hint
		}
		return []string{line}
	}
	if r.pool == nil {
		return nil
	}
	of := func(f thin.Fill) string { return fmt.Sprintf("%s of %s", human(f.Used), human(f.Size)) }
	line := fmt.Sprintf("All layers are in the thin pool%s: %s are used, and %s for its metadata.",
		strings.TrimRight(" "+scan.Printable(r.pool.Name), " "), of(r.pool.Data), of(r.pool.Meta))
	if r.pool.Trouble != "" {
		line += " Of the pool: " + r.pool.Trouble + "."
	}
	return []string{line}
}

// realMounts leaves out what the daemon mounts for containers: overlays of
// layers that are counted where they lie, and memory.
func realMounts(mounts []string) []string {
	var found []string
	for _, name := range mounts {
		if !strings.HasSuffix(name, "/merged") && !strings.HasSuffix(name, "/mounts/shm") && !strings.HasSuffix(name, "/rootfs") && !strings.HasPrefix(name, "rootfs/") {
			found = append(found, scan.Printable(name))
		}
	}
	return found
}

func (r *usageRows) removedFiles() []string {
	var files []string
	for _, f := range r.removed {
		files = append(files, fmt.Sprintf("%s, %s, by %s", scan.Printable(f.Path), human(f.Bytes), scan.Printable(f.By)))
	}
	return files
}

// some lists the first of many.
func some(names []string) string {
	if n := len(names) - shown; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], "; "), n)
	}
	return strings.Join(names, "; ")
}

func human(bytes int64) string { return units.HumanSize(float64(bytes)) }
