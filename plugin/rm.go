package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

func newRemoveCommand(dockerCLI command.Cli, global *globalOptions) *cobra.Command {
	var options removeOptions
	cmd := &cobra.Command{
		Use:     "rm [OPTIONS] ID [ID...]",
		Aliases: []string{"remove"},
		Short:   "Remove one or more orphans",
		Long: "Remove the orphans that you name, also those that prune leaves to you: what holds\n" +
			"data that nobody can make again, what was restored, and, while Docker is stopped,\n" +
			"datasets of zfs. Anything that is not an orphan is refused, with the reason; --force\n" +
			"skips the prompt and nothing else. What nobody can make again has its name typed,\n" +
			"and does not go by force; another name is an error. Who answers no, or nothing,\n" +
			"gets exit status 0.\n" +
			"An ID may be cut, and have its type before it: layer:3f9c. It works without a\n" +
			"daemon too, with --data-root." +
			exitHelp(exitDone, exitError, exitPartly, exitBusy, exitUsage, exitInterrupted),
		Args:              usage(cli.RequiresMinArgs(1)),
		ValidArgsFunction: completeOrphans(dockerCLI, global),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRemove(cmd.Context(), dockerCLI, global, &options, args)
		},
	}
	options.install(cmd)
	return cmd
}

func runRemove(ctx context.Context, dockerCLI command.Cli, global *globalOptions, options *removeOptions, ids []string) (err error) {
	if err := options.check(); err != nil {
		return err
	}
	r, err := global.removal(ctx, dockerCLI, options, options.dryRun)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	r.expired = nil // that is for prune
	refused, err := r.name(ctx, global, ids)
	if err != nil {
		return err
	}
	if len(r.taken) == 0 {
		return refused
	}
	if err := r.seen.measure(ctx, r.taken, r.progress); err != nil {
		return errors.Join(err, refused)
	}
	r.makePlan(nil)
	for i := range r.plan.Steps {
		r.plan.Steps[i].Named = true
	}
	if left := r.left(); len(left) > 0 {
		refused = errors.Join(refused, r.seen.wanted(left))
		r.taken = slices.DeleteFunc(r.taken, among(left))
	}
	if len(r.plan.Steps) == 0 {
		return refused
	}
	if err := r.brake(ctx); err != nil {
		return errors.Join(err, refused)
	}
	err = r.carryOut(ctx)
	var status silentExit
	if refused != nil && errors.As(err, &status) && status == exitPartly {
		return refused
	}
	return errors.Join(err, refused)
}

// name finds what the user means, and takes of it what is an orphan. Whatever
// was restored once is looked at anew, for the user's word lifts that mark.
func (r *removal) name(ctx context.Context, global *globalOptions, ids []string) (refused, err error) {
	kept := map[scan.Node]bool{}
	for _, id := range ids {
		if f, err := resolve(r.seen.findings, id); err == nil && f.Verdict == scan.Kept {
			for _, o := range f.Parts {
				kept[o.Node] = true
			}
		}
	}
	if len(kept) > 0 {
		if err := r.seen.close(); err != nil {
			return nil, err
		}
		if r.seen, err = global.lookFor(ctx, r.cli, r.progress, lookOptions{named: kept, strict: true}); err != nil {
			return nil, err
		}
	}
	var problems []error
	for _, id := range ids {
		f, err := resolve(r.seen.findings, id)
		switch {
		case err != nil:
			problems = append(problems, err)
		case f.Verdict != scan.Orphan:
			problems = append(problems, refusal(f))
		case scan.ContractOf(f.Type).Default == scan.DefaultNever:
			problems = append(problems, fmt.Errorf("%s %s is only reported, never removed: look into it with --data-root %s", f.Type, shortID(f), filepath.Join(r.seen.in.DataRoot, f.DataPath())))
		case apart(f) != nil:
			problems = append(problems, apart(f))
		case f.Stays(&r.seen.graph.Host) != "":
			problems = append(problems, fmt.Errorf("%s %s: %s", f.Type, shortID(f), scan.Printable(f.Stays(&r.seen.graph.Host))))
		case f.Unrecorded() && !r.options.purge:
			problems = append(problems, fmt.Errorf("%s %s: no record names it, so it cannot be put aside, and it may be what a container wrote: --purge deletes it for good", f.Type, shortID(f)))
		case !slices.Contains(r.taken, f): // two ids may mean one thing
			r.taken = append(r.taken, f)
		}
	}
	return errors.Join(problems...), nil
}

// apart says why all that a storage driver left cannot go by being renamed:
// its layers are no plain directories. It is nil for all else.
func apart(f *scan.Finding) error {
	for _, o := range f.Parts {
		if f.Type == scan.TypeBackend && o.Medium != scan.Directory && o.Medium != scan.File {
			return backendError{fmt.Errorf("%s %s: its layers are %s, which cannot be put aside as a whole", f.Type, shortID(f), o.Medium), f.Backend}
		}
	}
	return nil
}

// A backendError is that of what a storage driver left that cannot go.
type backendError struct {
	error
	driver string
}

// Hint says what a person can do.
func (e backendError) Hint() string {
	return "start the daemon once with --storage-driver " + e.driver + ", and remove its containers and images: docker system prune -a"
}

// refusal says why a finding cannot be removed.
func refusal(f *scan.Finding) error {
	why := f.Reason
	if journal.Below(f.DataPath()) {
		why += "; purge frees it for good"
	}
	return fmt.Errorf("%s %s is %s, not an orphan: %s", f.Type, shortID(f), f.Verdict, why)
}

// wanted are the errors of what cannot go because other orphans need it.
func (l *look) wanted(left []*scan.Finding) error {
	of := map[scan.Node]*scan.Finding{}
	for _, f := range l.findings {
		for _, o := range f.Parts {
			of[o.Node] = f
		}
	}
	edges := l.graph.Edges()
	var problems []error
	for _, f := range left {
		var by []string
		for _, other := range needing(edges, of, f) {
			by = append(by, fmt.Sprintf("%s %s", other.Type, scan.Printable(other.ID)))
		}
		which, them := cmp.Or(strings.Join(by, ", "), "another orphan")+", which stays or goes", "that"
		if len(by) > 1 {
			which, them = strings.Join(by, ", ")+", which stay or go", "those"
		}
		problems = append(problems, fmt.Errorf("%s %s is needed by %s to quarantine: remove %s for good first", f.Type, shortID(f), which, them))
	}
	return errors.Join(problems...)
}

// needing are the findings next above one that need it, by way of links and the
// like that are none themselves.
func needing(edges *scan.Edges, of map[scan.Node]*scan.Finding, f *scan.Finding) []*scan.Finding {
	var by []*scan.Finding
	var nodes []scan.Node
	for _, o := range f.Parts {
		nodes = append(nodes, o.Node)
	}
	seen := map[scan.Node]bool{}
	for ; len(nodes) > 0; nodes = nodes[1:] {
		for r := range edges.To(nodes[0]) {
			switch other := of[r.From]; {
			case seen[r.From]:
			case other == nil:
				nodes = append(nodes, r.From)
			case other != f && !slices.Contains(by, other):
				by = append(by, other)
			}
			seen[r.From] = true
		}
	}
	return by
}
