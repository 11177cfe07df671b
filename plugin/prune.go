package plugin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/driver"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/keep"
)

// pruneOptions are what prune can be told.
type pruneOptions struct {
	removeOptions
	filter          filter
	allVolumes      bool
	includePrecious bool
	maxItems        number
	maxSpace        size
	minFree         size
	savePlan        string
	plan            string
	backend         string
}

func newPruneCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options pruneOptions
	cmd := &cobra.Command{
		Use:   "prune [OPTIONS]",
		Short: "Remove orphans",
		Long: "Remove orphans: what ls shows, looked at again before anything is touched.\n\n" +
			"What cannot be made again goes to quarantine, from where restore brings it back;\n" +
			"it keeps its space until it is purged, by the first prune after --keep or by\n" +
			"purge. Filters are those of ls; pruneFilters of the docker CLI's config.json\n" +
			"must match too. What keep lists name stays: lines [TYPE:]ID|NAME|GLOB in the files\n" +
			"of " + keep.Dir + ", or plugins.orphans.keep-list in config.json. An ID\n" +
			"may be cut, without its type to 4 characters. With sudo the config.json is root's,\n" +
			"and the context too: docker --config DIR orphans prune takes another.\n\n" +
			"Without a daemon, with --data-root, what a running one counts until it restarts goes\n" +
			"in the same run; volumes that it has a record of wait for it, and datasets of zfs go\n" +
			"by rm only. Docker must be stopped, and is kept from starting meanwhile." +
			exitHelp(exitDone, exitError, exitPartly, exitBusy, exitUsage, exitInterrupted),
		Args:              usage(cli.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPrune(cmd.Context(), dockerCLI, global, &options)
		},
	}
	options.install(cmd)
	f := cmd.Flags()
	f.Var(&options.filter, "filter", `Provide filter values (e.g. "label!=protected")`)
	f.BoolVar(&options.allVolumes, "all-volumes", false, "Also take unused volumes that somebody named, and those of builders")
	f.BoolVar(&options.includePrecious, "include-precious", false, "Also take what holds data that nobody can make again, such as databases, once its name is typed")
	f.Var(&options.maxItems, "max-items", "Remove at most so many")
	f.Var(&options.maxSpace, "max-space", "Remove at most so many bytes (e.g. 10GB)")
	f.Var(&options.minFree, "min-free", "Remove only until so many bytes of the file system are free (e.g. 20GB)")
	f.StringVar(&options.savePlan, "save-plan", "", "Write what would be removed to a `FILE` outside the data root, and remove nothing")
	f.StringVar(&options.plan, "plan", "", "Remove what a saved plan in a `FILE` says, as far as it still holds, and nothing else")
	f.StringVar(&options.backend, "backend", "", "Remove all that the storage driver `NAME` left, which the daemon does not use, and nothing else")
	completeFlag(cmd, "filter", completeFilter)
	completeFlag(cmd, "backend", fixed(valuesOf("backend")...))
	return cmd
}

// check finds what cannot be meant together.
func (o *pruneOptions) check() error {
	if err := o.removeOptions.check(); err != nil {
		return err
	}
	if o.backend != "" {
		if driver.Named(o.backend) == nil {
			return usageError("invalid --backend %s (valid: %s)", scan.Printable(o.backend), strings.Join(valuesOf("backend"), ", "))
		}
		if o.plan != "" || o.allVolumes || o.includePrecious || o.limits() != (prune.Limits{}) || o.minFree != 0 || len(o.filter.given) > 0 {
			return usageError("conflicting options: --backend says what goes, and nothing else can")
		}
	}
	if o.plan == "" {
		if o.savePlan != "" && o.format != "" {
			return usageError("conflicting options: cannot specify both --save-plan and --format")
		}
		return nil
	}
	if o.savePlan != "" || o.purge || o.allVolumes || o.includePrecious || o.limits() != (prune.Limits{}) || o.minFree != 0 || len(o.filter.given) > 0 {
		return usageError("conflicting options: --plan says what goes, and nothing else can")
	}
	return nil
}

func (o *pruneOptions) limits() prune.Limits {
	return prune.Limits{Items: int(o.maxItems), Space: int64(o.maxSpace)}
}

// limitLines lists the limits for a person, beside the filters.
func (o *pruneOptions) limitLines() []string {
	var lines []string
	if o.maxItems > 0 {
		lines = append(lines, fmt.Sprintf("max-items=%d", o.maxItems))
	}
	if o.maxSpace > 0 {
		lines = append(lines, "max-space="+o.maxSpace.String())
	}
	if o.minFree > 0 {
		lines = append(lines, "min-free="+o.minFree.String())
	}
	return lines
}

func runPrune(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options *pruneOptions) (err error) {
	if err := options.check(); err != nil {
		return err
	}
	filter, err := newPruneFilter(options.filter, dockerCLI.ConfigFile())
	if err != nil {
		return err
	}
	var saved *prune.Saved
	if options.plan != "" {
		if saved, err = prune.Load(options.plan); err != nil {
			return err
		}
	}
	global.allVolumes, global.includePrecious = options.allVolumes, options.includePrecious
	r, err := global.removal(ctx, dockerCLI, &options.removeOptions, options.dryRun || options.savePlan != "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if options.backend != "" {
		r.expired = nil // nothing else
		err = r.whole(ctx, options.backend, filter)
	} else if saved != nil {
		err = r.renew(ctx, options.plan, saved, filter)
	} else {
		err = r.choose(ctx, options, filter)
	}
	if err == nil {
		err = r.brake(ctx)
	}
	if err != nil {
		return err
	}
	if options.savePlan != "" {
		r.expired, r.stays = nil, nil // no part of a plan
		return r.save(options.savePlan)
	}
	return r.carryOut(ctx)
}

// choose takes what the filters and limits leave of the default set.
func (r *removal) choose(ctx context.Context, options *pruneOptions, filter *pruneFilter) error {
	var candidates []*scan.Finding
	for _, f := range r.seen.findings {
		if f.Verdict == scan.Orphan && f.Default && filter.matchName(f, &r.seen.graph.Host) {
			candidates = append(candidates, f)
		}
	}
	if err := r.seen.measure(ctx, candidates, r.progress); err != nil {
		return err
	}
	for _, f := range candidates {
		if filter.matchDeep(f) {
			r.taken = append(r.taken, f)
		}
	}
	r.filters = append(filter.lines(r.seen.findings), options.limitLines()...)
	limits := options.limits()
	if options.minFree > 0 {
		free, err := freeSpace(r.seen.in)
		if err != nil {
			return err
		}
		if limits.Free = int64(options.minFree) - free; limits.Free <= 0 {
			r.taken, r.expired = nil, nil // enough is free already
		}
	}
	budget := limits.Budget()
	r.expired, r.stays = prune.Within(r.expired, func(h prune.Held) string {
		return staysFor(h, r.seen.in.KeepList, filter, &r.seen.graph.Host)
	}, budget)
	r.makePlan(budget)
	return nil
}

// whole takes all that a storage driver left.
func (r *removal) whole(ctx context.Context, name string, filter *pruneFilter) error {
	for _, f := range r.seen.findings {
		if f.Type != scan.TypeBackend || f.Backend != name || journal.Below(f.DataPath()) {
			continue
		}
		if f.Verdict != scan.Orphan {
			return refusal(f)
		}
		if err := apart(f); err != nil {
			return err
		}
		if !filter.matchName(f, &r.seen.graph.Host) {
			return fmt.Errorf("%s %s: %s", f.Type, shortID(f), leftByConfig)
		}
		r.taken = append(r.taken, f)
	}
	if len(r.taken) == 0 {
		for _, b := range r.seen.in.Backends {
			if b.Name == name {
				return fmt.Errorf("the daemon uses %s, or may use it: what is in it goes one by one", name)
			}
		}
		return fmt.Errorf("the storage driver %s left nothing", name)
	}
	if err := r.seen.measure(ctx, r.taken, r.progress); err != nil {
		return err
	}
	r.filters = filter.lines(r.seen.findings)
	r.makePlan(nil)
	return nil
}

// freeSpace is how much of the data root's file system is free.
func freeSpace(in *scan.Input) (int64, error) {
	disk, done, err := prune.OpenDisk(in.DataRoot, in.Proc)
	if err != nil {
		return 0, err
	}
	free, err := disk.Free()
	return free, errors.Join(err, done())
}

// save writes the plan to a file instead of carrying it out.
func (r *removal) save(name string) error {
	if err := prune.Save(name, r.seen.in.Tree, r.plan, r.options.purge); err != nil {
		return err
	}
	if err := r.preview(len(r.plan.Steps) == 0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.cli.Err(), "Saved to %s: %s prune --plan %s carries it out\n", name, commandOn(r.seen.in), name)
	return err
}

// leftByConfig is why something stays that was named otherwise.
const leftByConfig = "pruneFilters of the docker CLI's config.json leave it"

// renew takes what of a saved plan still holds, and what the filters of all
// prune commands leave of it.
func (r *removal) renew(ctx context.Context, file string, saved *prune.Saved, filter *pruneFilter) error {
	if err := saved.Check(r.seen.in.Tree, &r.seen.graph.Host); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	r.expired = nil // exactly that plan
	r.filters = filter.lines(r.seen.findings)
	measured := false
	leave := func(f *scan.Finding) string {
		if filter.matchName(f, &r.seen.graph.Host) && (!measured || filter.matchDeep(f)) {
			return ""
		}
		return leftByConfig
	}
	renew := func() {
		r.plan, r.changed = saved.Renew(r.seen.graph, r.seen.values(), leave)
		r.taken = nil
		for i := range r.plan.Steps {
			r.taken = append(r.taken, r.finding(&r.plan.Steps[i]))
		}
	}
	renew()
	if err := r.seen.measure(ctx, r.taken, r.progress); err != nil {
		return err
	}
	measured = true
	renew() // what was measured tells what has changed below
	return nil
}

// A number is a flag's value that is a number of things: at least one.
type number uint

func (n *number) String() string {
	if *n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*n), 10)
}

func (*number) Type() string { return "uint" }

// Set reads what the user typed.
func (n *number) Set(text string) error {
	v, err := strconv.ParseUint(text, 10, 31)
	if err != nil || v == 0 {
		return fmt.Errorf("invalid number %q (at least 1)", text)
	}
	*n = number(v)
	return nil
}

// A size is a flag's value in bytes.
type size int64

func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return units.HumanSize(float64(*s))
}

func (*size) Type() string { return "bytes" }

// Set reads what the user typed.
func (s *size) Set(text string) error {
	n, err := units.FromHumanSize(text)
	if err != nil || n <= 0 {
		return fmt.Errorf("invalid size %q (examples: 500MB, 20GB)", text)
	}
	*s = size(n)
	return nil
}
