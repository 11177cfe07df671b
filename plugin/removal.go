package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/prune/hold"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/archive"
	"github.com/docker-orphans/docker-orphans/scan/driver"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// removeOptions are what prune and rm can be told alike.
type removeOptions struct {
	force        bool
	dryRun       bool
	purge        bool
	wait         bool
	allowDamaged bool
	allowMost    bool
	allowBackend bool
	keep         duration
	format       string
}

func (o *removeOptions) install(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVarP(&o.force, "force", "f", false, "Do not prompt for confirmation")
	f.BoolVar(&o.dryRun, "dry-run", false, "Show what would be removed, and remove nothing")
	f.BoolVar(&o.purge, "purge", false, "Free at once what would go to quarantine: it cannot be brought back")
	f.Var(&o.keep, "keep", fmt.Sprintf("How long the quarantine keeps what goes there (default %s)", days(prune.DefaultPolicy().Keep)))
	f.BoolVar(&o.wait, "wait", false, "Wait for another run to end")
	f.BoolVar(&o.allowDamaged, prune.AllowDamaged, false, "Go on although something in use has lost layers or records")
	f.BoolVar(&o.allowMost, prune.AllowMost, false, "With --force, go on although most of a storage driver's layers would go")
	f.BoolVar(&o.allowBackend, prune.AllowBackend, false, "With --force, remove all that a storage driver left without its name being typed")
	f.StringVar(&o.format, "format", "", `Format of the output: "json"`)
	completeFlag(cmd, "format", fixed(formatter.JSONFormatKey))
}

// check finds what cannot be meant together.
func (o *removeOptions) check() error {
	switch {
	case o.format != "" && o.format != formatter.JSONFormatKey:
		return usageError("invalid --format %s (valid: json)", o.format)
	case o.format != "" && !o.force && !o.dryRun:
		return usageError("conflicting options: --format json asks nobody, so it needs --force or --dry-run")
	case o.keep.set && o.purge:
		return usageError("conflicting options: cannot specify both --keep and --purge")
	case o.keep.set && o.keep.value == 0:
		return usageError("invalid --keep %s: to keep nothing, use --purge", o.keep.text)
	}
	return nil
}

// A removal is one run of prune or rm: what was seen, what is to go, and what
// came of it.
type removal struct {
	cli      command.Cli
	options  *removeOptions
	progress *progress
	printer  *printer
	policy   prune.Policy

	session *session // nil: nothing is to be changed
	seen    *look
	expired []prune.Held // in quarantine, and freed for good
	stays   []prune.Stay // in quarantine long enough, and stays there

	lost    func(context.Context) ([]scan.Doubt, error) // looks anew at what something in use has lost
	before  []scan.Finding                              // of check --repair: what was found before it was judged without what is set aside; else nil
	taken   []*scan.Finding                             // what was asked for
	plan    prune.Plan                                  // what of it goes
	filters []string                                    // for a person
	changed []prune.Change                              // of a saved plan: what does not hold any more
}

// removal locks the data root, unless nothing is to be changed, and has a
// first look. The caller closes it.
func (o *globalOptions) removal(ctx context.Context, dockerCLI command.Cli, options *removeOptions, readOnly bool) (_ *removal, err error) {
	r := &removal{cli: dockerCLI, options: options, progress: newProgress(dockerCLI.Err())}
	r.printer = &printer{out: dockerCLI.Out(), progress: r.progress, silent: options.format != ""}
	if r.policy, err = o.runPolicy(dockerCLI.ConfigFile(), options.keep); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = r.close() // nothing was removed yet
		}
	}()
	if !readOnly {
		r.session, err = o.session(ctx, dockerCLI, r.progress, sessionOptions{
			wait: options.wait, policy: r.policy, report: r.printer.event,
		})
		if err != nil {
			return nil, err
		}
		var unread journal.UnreadError
		if errors.As(r.session.trouble, &unread) {
			return nil, unread // it may have to put something back first
		}
		r.session.tell(dockerCLI.Err())
	}
	if r.seen, err = o.lookFor(ctx, dockerCLI, r.progress, lookOptions{strict: true}); err != nil {
		return nil, err
	}
	if r.session != nil && (r.session.in.Daemon == nil) != (r.seen.in.Daemon == nil) {
		return nil, fmt.Errorf("%s: the daemon was stopped or started meanwhile", r.seen.in.DataRoot)
	}
	if err := r.idle(ctx); err != nil {
		return nil, err
	}
	r.lost = o.lost(dockerCLI, r.seen.policy)
	held, err := reader(r.seen.in).Held()
	if err != nil {
		return nil, err
	}
	r.expired = prune.Expired(held, time.Now(), r.seen.in.Daemon != nil)
	return r, nil
}

// idle refuses a data root that somebody works with though no daemon answers.
// Where nothing is to be changed it only says so.
func (r *removal) idle(ctx context.Context) error {
	err := prune.Idle(r.seen.graph)
	if r.session != nil || r.seen.in.Daemon != nil {
		return err
	}
	for _, err := range []error{hold.This().Check(ctx, r.seen.in.DataRoot), err} {
		if err != nil {
			r.wouldNotBegin(err)
		}
	}
	return nil
}

func (r *removal) wouldNotBegin(why error) {
	_, _ = fmt.Fprintf(r.cli.Err(), "WARNING: this would not begin: %s\n", scan.Printable(why.Error()))
}

func (r *removal) close() error {
	if r.seen != nil {
		_ = r.seen.close() // nothing was written through it
	}
	if r.session != nil {
		return r.session.close()
	}
	return nil
}

// values are the findings as the plan wants them.
func (l *look) values() []scan.Finding {
	all := make([]scan.Finding, 0, len(l.findings))
	for _, f := range l.findings {
		all = append(all, *f)
	}
	return all
}

// among reports whether a finding is one of a list.
func among(findings []*scan.Finding) func(*scan.Finding) bool {
	set := map[scan.Node]bool{}
	for _, f := range findings {
		set[f.Parts[0].Node] = true
	}
	return func(f *scan.Finding) bool { return set[f.Parts[0].Node] }
}

// makePlan makes the plan for what was asked for. What is no part of the
// default set goes only because the user named it, or all of its sort. Without a
// budget all of it goes.
func (r *removal) makePlan(budget *prune.Budget) {
	take := among(r.taken)
	newPlan := func() prune.Plan {
		return prune.NewPlan(r.seen.graph, r.seen.values(), prune.Options{Purge: r.options.purge, Repair: r.before, Take: take})
	}
	r.plan = newPlan()
	if budget != nil {
		chosen := budget.Choose(&r.plan)
		take = func(f *scan.Finding) bool { return chosen[f.Parts[0].Node] }
		r.plan = newPlan()
	}
	for i := range r.plan.Steps {
		s := &r.plan.Steps[i]
		f := r.finding(s)
		s.Named = r.before != nil || f.NotMine != "" || f.Precious || isVolume(f) // also where a later look is not told what the user wants
	}
}

// finding returns the finding that a step removes.
func (r *removal) finding(s *prune.Step) *scan.Finding { return r.seen.of(s.Objects[0].Node) }

// left are those that were asked for and are not in the plan.
func (r *removal) left() []*scan.Finding {
	planned := map[scan.Node]bool{}
	for i := range r.plan.Steps {
		planned[r.plan.Steps[i].Objects[0].Node] = true
	}
	var left []*scan.Finding
	for _, f := range r.taken {
		if !planned[f.Parts[0].Node] {
			left = append(left, f)
		}
	}
	return left
}

// A brakeError is a reason not to begin.
type brakeError struct{ *prune.Brake }

// Hint says what to do about it, and how to go on all the same.
func (e brakeError) Hint() string {
	return e.Brake.Hint + "; to go on all the same: --" + e.Flag
}

// brake stops a run if facts contradict each other (rule 12). Where nothing
// is to be changed, or a person is asked, it only warns of what that person
// can judge.
func (r *removal) brake(ctx context.Context) error {
	if len(r.plan.Steps) == 0 {
		return nil
	}
	var problem error
	if !r.options.allowDamaged {
		lost, err := r.lasting(ctx)
		if err != nil {
			return err
		}
		if b := prune.Damaged(lost); b != nil {
			problem = brakeError{b}
		}
	}
	if b := prune.Most(r.seen.graph, &r.plan); b != nil && !r.options.allowMost && problem == nil {
		if r.options.force {
			problem = brakeError{b}
		} else {
			_, _ = fmt.Fprintf(r.cli.Err(), "WARNING: %s: %s\n", scan.Printable(b.Why), b.Hint)
		}
	}
	if b := prune.Whole(&r.plan); b != nil && !r.options.allowBackend && problem == nil && r.options.force {
		problem = brakeError{b}
	}
	if names := r.precious(); len(names) > 0 && problem == nil && r.options.force {
		problem = preciousError{fmt.Errorf("data would go that nobody can make again: %s", strings.Join(names, ", "))}
	}
	if problem != nil && r.session == nil {
		r.wouldNotBegin(problem)
		return nil
	}
	return problem
}

// lasting is what something in use has lost, now and for some looks more.
func (r *removal) lasting(ctx context.Context) ([]scan.Doubt, error) {
	lost := scan.Lost(r.seen.graph, r.seen.policy)
	if len(lost) > 0 {
		r.progress.show("Looking again at what seems damaged…")
		defer r.progress.clear()
	}
	return prune.Lasting(ctx, lost, r.policy, r.lost)
}

// lost looks anew at what something in use has lost.
func (o *globalOptions) lost(dockerCLI command.Cli, policy scan.Policy) func(context.Context) ([]scan.Doubt, error) {
	look := o.looker(dockerCLI, nil)
	unwalked := func(*scan.Object) *scan.Usage { return nil } // no age is asked
	return func(ctx context.Context) ([]scan.Doubt, error) {
		seen, err := look(ctx, "", nil, unwalked)
		if err != nil {
			return nil, err
		}
		return scan.Lost(seen.Graph, policy), nil
	}
}

// warning is what a person should know before.
func (r *removal) warning() *warning {
	w := &warning{
		root: r.seen.in.DataRoot,
		now:  breakdown{}, aside: breakdown{}, expired: sumHeld(r.expired), filters: r.filters,
		until: stamp(time.Now().Add(r.policy.Keep)), next: r.nextStart(),
		exportable: slices.ContainsFunc(prune.Backends(&r.plan), archive.Readable),
		volumes:    r.volumeNames(),
		command:    commandOn(r.seen.in),
	}
	for i := range r.plan.Steps {
		s := &r.plan.Steps[i]
		if s.Waits() {
			w.aside.add(s.Type, prune.Bytes(s))
		} else {
			w.now.add(s.Type, prune.Bytes(s))
		}
	}
	return w
}

// carryOut shows the plan, asks, and removes.
func (r *removal) carryOut(ctx context.Context) error {
	nothing := len(r.plan.Steps) == 0 && len(r.expired) == 0
	if r.options.dryRun {
		return r.preview(nothing)
	}
	if !r.options.force && !nothing {
		if err := r.show(); err != nil {
			return err
		}
		yes, err := r.ask(ctx)
		if err != nil || !yes {
			return err
		}
	} else if next := r.nextStart(); next != "" {
		_, _ = fmt.Fprintln(r.cli.Err(), next)
	}
	return r.execute(ctx)
}

// ask shows a warning and asks. What takes all that a storage driver left has
// the person type the driver's name, and what holds data that nobody can make
// again its own.
func (r *removal) ask(ctx context.Context) (bool, error) {
	var names []string
	if !r.options.allowBackend {
		names = prune.Backends(&r.plan)
	}
	if names = append(names, r.precious()...); len(names) > 0 {
		return confirmTyped(ctx, r.cli, r.warning().text(), strings.Join(names, " "))
	}
	return confirm(ctx, r.cli, r.warning().text())
}

// nextStart says which driver the daemon chooses when it starts once what a
// driver left is gone; "" if the plan takes none of that (rule 13).
func (r *removal) nextStart() string {
	gone := prune.Backends(&r.plan)
	if len(gone) == 0 {
		return ""
	}
	host := &r.seen.graph.Host
	prior := slices.DeleteFunc(slices.Clone(host.Prior), func(name string) bool { return slices.Contains(gone, name) })
	return "The daemon, when it starts next, " + driver.Next(prior, host.Told, usedDriver(r.seen.in)) + "."
}

// usedDriver is the storage driver that the daemon uses; "" if it is not known.
func usedDriver(in *scan.Input) string {
	if in.Undecided != "" || len(in.Backends) != 1 {
		return ""
	}
	return in.Backends[0].Name
}

// show lists what goes, before a person is asked.
func (r *removal) show() error {
	if len(r.plan.Steps) > 0 {
		if err := writePlan(r); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(r.cli.Out())
	}
	r.tellChanged()
	r.tellLeft()
	r.tellIdleKeeps()
	return nil
}

// preview is all that --dry-run does.
func (r *removal) preview(nothing bool) error {
	if r.options.format != "" {
		return r.writeJSON(r.aftermath(nil))
	}
	if err := r.show(); err != nil {
		return err
	}
	if nothing {
		_, _ = fmt.Fprintln(r.cli.Out(), "Nothing would be removed.")
		return nil
	}
	w := r.warning()
	w.dry = true
	_, err := fmt.Fprint(r.cli.Out(), w.text())
	return err
}

// tellChanged says which steps of a saved plan do not hold any more.
func (r *removal) tellChanged() {
	for _, c := range r.changed {
		_, _ = fmt.Fprintf(r.cli.Err(), "Skipped: %s: %s\n", stepName(c.Step), scan.Printable(c.Why))
	}
}

// tellLeft says that some things stay because others need them, and what stays
// in quarantine.
func (r *removal) tellLeft() {
	if r.options.format == "" {
		tellStays(r.cli.Err(), r.stays)
	}
	var all sum
	for _, f := range r.left() {
		all.add(f.Size().Bytes)
	}
	if all.count > 0 && r.options.format == "" {
		_, _ = fmt.Fprintf(r.cli.Err(), "Left: %s, which something that stays or goes to quarantine needs\n", all.things())
	}
}

// idleKeepsShown is how many entries of keep lists that keep nothing are named.
const idleKeepsShown = 5

// tellIdleKeeps names entries of keep lists that are about nothing that is
// there: to a person who is about to remove something, for the thing may have
// been removed long since, or be spelled otherwise.
func (r *removal) tellIdleKeeps() {
	var names []string
	for i, e := range r.seen.in.KeepsNothing {
		if i == idleKeepsShown {
			names = append(names, fmt.Sprintf("and %d more", len(r.seen.in.KeepsNothing)-i))
			break
		}
		name := e.Pattern
		if e.Type != "" {
			name = string(e.Type) + ":" + name
		}
		names = append(names, name+" ("+e.Where+")")
	}
	if len(names) > 0 {
		_, _ = fmt.Fprintf(r.cli.Err(), "Keep lists: what these name is not there: %s\n", scan.Printable(strings.Join(names, ", ")))
	}
}

// stepName is what a step's thing is called in a message.
func stepName(s *prune.Step) string {
	return string(s.Type) + " " + scan.Printable(scan.Short(s.Finding))
}
