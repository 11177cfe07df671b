package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/whose"
)

// checkOptions are what check can be told.
type checkOptions struct {
	removeOptions // of what --repair sets aside
	repair        bool
}

func newCheckCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options checkOptions
	cmd := &cobra.Command{
		Use:   "check [OPTIONS]",
		Short: "Look for damage: records without data, and data without records",
		Long: "Look for damage in both directions. Of each record whose data is gone it says what fails\n" +
			"because of it, and what helps. Nothing is changed without --repair. What only a build\n" +
			"names, or a record of Docker before 1.10, may be gone in good order and is no damage.\n\n" +
			"--repair sets aside records whose data is gone, so that a pull or a load of the same\n" +
			"image heals it; restore brings them back. What the daemon has in memory it does not\n" +
			"touch: for most of it Docker must be stopped, and --data-root says where it was.\n\n" +
			"Data without records are orphans that no daemon knows of. ls lists them, and what has a\n" +
			"record and is only not used: a volume, an image's layer. That is no damage." +
			exitHelpOf(checkMeanings, exitDone, exitError, exitFound, exitUnsure, exitPartly, exitBusy, exitUsage, exitInterrupted),
		Args:              usage(cli.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := options.check(cmd); err != nil {
				return err
			}
			if options.repair {
				return runRepair(cmd.Context(), dockerCLI, global, &options)
			}
			return runCheck(cmd.Context(), dockerCLI, global, options.format)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&options.repair, "repair", false, "Set aside records whose data is gone, so that a pull or a load heals it")
	f.BoolVarP(&options.force, "force", "f", false, "With --repair, do not prompt for confirmation")
	f.BoolVar(&options.dryRun, "dry-run", false, "With --repair, show what would be set aside, and change nothing")
	f.BoolVar(&options.wait, "wait", false, "With --repair, wait for another run to end")
	f.Var(&options.keep, "keep", fmt.Sprintf("With --repair, how long the quarantine keeps it (default %s)", days(prune.DefaultPolicy().Keep)))
	f.BoolVar(&options.allowMost, prune.AllowMost, false, "With --repair --force, go on although most of a storage driver's layers would go")
	f.StringVar(&options.format, "format", "", `Format of the output: "json"`)
	completeFlag(cmd, "format", fixed(formatter.JSONFormatKey))
	return cmd
}

// checkMeanings are what check means by statuses that others have too.
var checkMeanings = map[int]string{
	exitFound:  "damage was found, or data without records",
	exitUnsure: "no damage, but something could not be read, or contradicts something",
}

// check finds what cannot be meant together.
func (o *checkOptions) check(cmd *cobra.Command) error {
	if o.format != "" && o.format != formatter.JSONFormatKey {
		return usageError("invalid --format %s (valid: json)", o.format)
	}
	if o.repair {
		if o.format != "" {
			return usageError("conflicting options: cannot specify both --repair and --format")
		}
		return o.removeOptions.check()
	}
	for _, name := range []string{"force", "dry-run", "wait", "keep", prune.AllowMost} {
		if cmd.Flags().Changed(name) {
			return usageError("--%s needs --repair: without it nothing is changed", name)
		}
	}
	return nil
}

func runCheck(ctx context.Context, dockerCLI command.Cli, global *globalOptions, format string) error {
	seen, err := global.look(ctx, dockerCLI, newProgress(dockerCLI.Err()))
	if err != nil {
		return err
	}
	defer func() { _ = seen.close() }() // nothing was written
	c := seen.checkup()
	if format != "" {
		err = c.writeJSON(dockerCLI.Out())
	} else {
		_, err = io.WriteString(dockerCLI.Out(), c.text())
	}
	if err != nil {
		return err
	}
	return c.status()
}

// A checkup is what is wrong with a data root.
type checkup struct {
	root    string
	command string // how to call docker orphans on it
	damages []damage
	doubts  []scan.Doubt      // what could not be read, or contradicts something
	orphans map[scan.Type]int // data without records
	healthy int               // what is in use, for a person
}

// status is how check exits.
func (c *checkup) status() error {
	switch {
	case len(c.damages) > 0 || len(c.orphans) > 0:
		return silentExit(exitFound)
	case len(c.doubts) > 0:
		return silentExit(exitUnsure)
	}
	return nil
}

// A damage is something that is broken, what fails, and what helps.
type damage struct {
	scan.Break
	fails *whose.Answer
	help  string
}

// checkup looks for damage in what was scanned. What nothing in use needs
// breaks nothing, unless it is a record that is in the way of a pull.
func (l *look) checkup() *checkup {
	c := &checkup{root: l.in.DataRoot, command: commandOn(l.in), orphans: map[scan.Type]int{}}
	for _, d := range l.graph.Doubts {
		if l.idle(d) {
			continue
		}
		if !slices.ContainsFunc(c.doubts, func(o scan.Doubt) bool { return o.String() == d.String() }) { // of another scope
			c.doubts = append(c.doubts, d)
		}
	}
	index := whose.NewIndex(l.in, l.graph, l.findings, nil)
	for _, b := range scan.Breaks(l.graph) {
		d := damage{Break: b, fails: index.Broken(b)}
		record := slices.Contains([]scan.Kind{scan.KindBuild, scan.KindImage, scan.KindVolume}, b.Node.Kind) ||
			b.Node.Kind != scan.KindLink && l.graph.Object(b.Node) != nil
		if !record && !d.needed() {
			continue
		}
		d.help = d.remedy(index, l.in.DataRoot)
		c.damages = append(c.damages, d)
	}
	for _, f := range l.findings {
		switch {
		case f.Verdict == scan.Orphan && f.Recordless():
			c.orphans[f.Type]++
		case f.Verdict == scan.Used:
			c.healthy++
		}
	}
	return c
}

// idle reports a doubt about what a run has set aside that keeps nothing from
// being judged: something in use needs it all by now.
func (l *look) idle(d scan.Doubt) bool {
	return d.Source == scan.SourceQuarantine && len(d.Scope.Nodes) > 0 && !slices.ContainsFunc(l.findings, func(f *scan.Finding) bool {
		return f.Verdict == scan.Unsure && slices.ContainsFunc(f.Doubts, func(o scan.Doubt) bool { return o.String() == d.String() })
	})
}

// name is what a damage is about: a path below the data root, a build record or
// a tag.
func (d *damage) name() string {
	switch d.Node.Kind {
	case scan.KindBuild:
		return "build record " + d.Node.Name
	case scan.KindImage:
		return "tag " + d.Node.Name
	}
	return d.Node.Name
}

// isPath reports whether it is a path.
func (d *damage) isPath() bool { return d.Node.Kind != scan.KindBuild && d.Node.Kind != scan.KindImage }

// path is the absolute path of what a damage is about; "" of what has none.
func (d *damage) path(root string) string {
	if !d.isPath() {
		return ""
	}
	return filepath.Join(root, d.Node.Name)
}

func (d *damage) needed() bool {
	return len(d.fails.Images)+len(d.fails.Containers)+len(d.fails.Others) > 0
}

// remedy is what helps. It never is to remove what still has data.
func (d *damage) remedy(index *whose.Index, root string) string {
	switch d.Node.Kind {
	case scan.KindBuild:
		return "docker builder prune --all drops the record; then build again"
	case scan.KindImage:
		return "pull or build it again"
	case scan.KindRecord:
		return "check --repair sets it aside, unless a container needs it; then pull or load the image again"
	case scan.KindLink:
		if layer, ok := index.Leads(d.Node); ok {
			return fmt.Sprintf("ln -s ../%s/diff %s", path.Base(layer.Name), path.Join(root, d.Node.Name))
		}
	case scan.KindVolume:
		return "bring it back from a backup; docker volume rm drops it where nothing uses it"
	case scan.KindMount:
		return "bring it back from a backup; without it Docker does not load the container, which can only be made anew: stop Docker and move its directory away"
	}
	var images []string
	for _, i := range d.fails.Images {
		images = append(images, i.Image)
	}
	switch {
	case len(images) > 0 && len(d.fails.Containers) > 0:
		return fmt.Sprintf("remove the containers, then docker rmi %s, and pull or build again", strings.Join(images, " "))
	case len(images) > 0:
		return fmt.Sprintf("docker rmi %s, and pull or build again", strings.Join(images, " "))
	case len(d.fails.Containers) > 0 && !slices.ContainsFunc(d.By, func(r scan.Ref) bool { return r.Why == scan.ByMountID }):
		return "it cannot start: what it wrote is still there, in its own layer; docker rm it and make it anew"
	case len(d.fails.Containers) > 0:
		return "what the container wrote is gone with it: docker rm it and make it anew"
	case len(d.fails.Others) > 0:
		return "docker builder prune, if it is a build record's"
	}
	return "a pull takes it for granted: stop Docker, and check --repair sets it aside"
}

// text is what a person reads.
func (c *checkup) text() string {
	var b strings.Builder
	for _, d := range c.damages {
		fmt.Fprintf(&b, "%s: %s\n", scan.Printable(d.name()), scan.Printable(d.What))
		if fails := d.failing(); len(fails) > 0 {
			fmt.Fprintf(&b, "  fails:  %s\n", scan.Printable(strings.Join(fails, ", ")))
		}
		fmt.Fprintf(&b, "  helps:  %s\n", scan.Printable(d.help))
	}
	for _, d := range c.doubts {
		fmt.Fprintf(&b, "unsure: %s\n", scan.Printable(d.String()))
		if d.Hint != "" {
			fmt.Fprintf(&b, "  helps:  %s\n", scan.Printable(d.Hint))
		}
	}
	if len(c.orphans) > 0 {
		fmt.Fprintf(&b, "Data without records: %s (%s ls)\n", strings.Join(c.kinds(), ", "), c.command)
	}
	if b.Len() == 0 {
		return fmt.Sprintf("No damage: %s in use, each with its data.\n", anything.count(c.healthy))
	}
	return b.String()
}

// kinds counts the data without records, by type.
func (c *checkup) kinds() []string {
	var kinds []string
	for i := range scan.Contracts {
		t := scan.Contracts[i].Type
		if n := c.orphans[t]; n > 0 {
			kinds = append(kinds, nounOf(t).count(n))
		}
	}
	return kinds
}

// failing lists what fails.
func (d *damage) failing() []string {
	var fails []string
	for _, i := range d.fails.Images {
		fails = append(fails, "image "+i.Image)
	}
	for _, c := range d.fails.Containers {
		fails = append(fails, "container "+c)
	}
	return append(fails, d.fails.Others...)
}

// checkJSON is one line of check --format json. Names stay; a change of meaning
// changes Schema.
type checkJSON struct {
	Schema int
	Kind   string            // "damage", "unsure" or "orphans"
	Path   string            // absolute; "" of orphans, and of what is no file
	What   string            // what is wrong
	Fails  []string          // what fails because of it
	Helps  string            // what a person can do; "" if that is not known
	Count  int               // of orphans: data without records
	Types  map[scan.Type]int // those by type
}

func (c *checkup) writeJSON(w io.Writer) error {
	var rows []checkJSON
	for _, d := range c.damages {
		what := d.What
		if !d.isPath() {
			what = d.name() + ": " + what
		}
		rows = append(rows, checkJSON{
			Kind: "damage", Path: d.path(c.root), What: what, Fails: append([]string{}, d.failing()...), Helps: d.help,
		})
	}
	for _, d := range c.doubts {
		rows = append(rows, checkJSON{Kind: "unsure", What: d.String(), Fails: []string{}, Helps: d.Hint})
	}
	if len(c.orphans) > 0 {
		row := checkJSON{Kind: "orphans", What: "data without records", Fails: []string{}, Helps: c.command + " ls", Types: c.orphans}
		for _, n := range c.orphans {
			row.Count += n
		}
		rows = append(rows, row)
	}
	for _, row := range rows {
		row.Schema = schemaVersion
		if row.Types == nil {
			row.Types = map[scan.Type]int{}
		}
		raw, err := safeJSON(json.Marshal(row))
		if err != nil {
			return err
		}
		if _, err := w.Write(append(raw, '\n')); err != nil {
			return err
		}
	}
	return nil
}
