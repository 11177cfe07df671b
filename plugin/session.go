package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/prune/adopt"
	"github.com/docker-orphans/docker-orphans/prune/hold"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/source"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
)

// A session is what a command that removes or brings back works with: the
// data root, locked against other runs and opened to write to it.
type session struct {
	*prune.Runner
	in        *scan.Input
	recovered []*journal.Run // runs that were interrupted, and that were ended now
	trouble   error          // what of them could not be ended
	close     func() error
}

// sessionOptions say what a command needs of a session.
type sessionOptions struct {
	wait   bool // wait for another run to end
	policy prune.Policy
	report func(prune.Event)
}

// lockPoll is how often a run that waits for another tries again.
const lockPoll = 250 * time.Millisecond

// session locates the data root, locks it, keeps daemons away from it if none
// runs, sees that nobody works with it then, and ends what an interrupted run
// began. Who reads what is printed cannot end it by going away. The caller
// closes it.
func (o *globalOptions) session(ctx context.Context, dockerCLI command.Cli, p *progress, options sessionOptions) (_ *session, err error) {
	outliveReaders()
	in, closeRoot, err := o.locate(ctx, dockerCLI)
	if err != nil {
		return nil, err
	}
	closers := []func() error{closeRoot}
	s := &session{in: in, close: func() error {
		var problems []error
		for i := len(closers) - 1; i >= 0; i-- {
			problems = append(problems, closers[i]())
		}
		return errors.Join(problems...)
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if in.Daemon == nil {
		if err := hold.This().Check(ctx, in.DataRoot); err != nil {
			return nil, err // and no trace of us is left
		}
	}
	unlock, err := lock(ctx, in.DataRoot, options.wait, p)
	if err != nil {
		return nil, err
	}
	closers = append(closers, unlock)
	if in.Daemon == nil {
		release, err := keepAway(ctx, in.DataRoot, dockerCLI.Err())
		if err != nil {
			return nil, err
		}
		closers = append(closers, release)
		if err := idle(ctx, in); err != nil {
			return nil, err // before what was interrupted is put back or ended
		}
	}
	disk, closeDisk, err := prune.OpenDisk(in.DataRoot, in.Proc)
	if err != nil {
		return nil, err
	}
	closers = append(closers, closeDisk)
	s.Runner = &prune.Runner{
		Tree: in.Tree, Disk: disk, Look: o.looker(dockerCLI, nil), Policy: options.policy, Now: time.Now, Report: options.report,
		ZFS: zfs.Zfs,
	}
	if in.Daemon != nil {
		s.Volumes = prune.VolumesOf(dockerCLI.Client())
	} else {
		s.Pool = prune.PoolOf(in.DataRoot)
	}
	s.recovered, s.trouble = s.Recover(ctx)
	if s.trouble == nil {
		s.trouble = s.ForgetOld(in.Host.Owner)
	}
	if in.Daemon != nil {
		engine := adopt.Engine(dockerCLI.Client())
		s.Adopt = prune.AdoptWith(engine, in.Tree)
		s.trouble = errors.Join(s.trouble, unadopt(ctx, engine))
	}
	return s, ctx.Err()
}

// idle refuses a data root that somebody works with though no daemon answers.
func idle(ctx context.Context, in *scan.Input) error {
	g := scan.Scan(ctx, in, source.All)
	if err := ctx.Err(); err != nil {
		return err // the doubts of a cancelled scan mean nothing
	}
	return prune.Idle(g)
}

// keepAway keeps daemons away from a data root. What it returns lets them start
// again, and says how to start the one that it kept away.
func keepAway(ctx context.Context, root string, w io.Writer) (release func() error, err error) {
	held, err := hold.This().Take(ctx, root)
	if err != nil {
		return nil, err
	}
	return func() error {
		err := held.Release()
		if start := held.Start(context.WithoutCancel(ctx)); start != "" {
			_, _ = fmt.Fprintln(w, start)
		}
		return err
	}, nil
}

// unadopt removes images that an interrupted run has left: each was made to
// release a chain, and is removed to do so.
func unadopt(ctx context.Context, engine adopt.Daemon) error {
	results, err := adopt.Leftovers(ctx, engine)
	problems := []error{err}
	for _, r := range results {
		if !r.Outcome.Done() {
			problems = append(problems, fmt.Errorf("image %s, left by an interrupted run: %s", scan.Short(r.Image), r.Reason))
		}
	}
	return errors.Join(problems...)
}

// lock locks the data root's state directory.
func lock(ctx context.Context, root string, wait bool, p *progress) (func() error, error) {
	defer p.clear()
	for {
		unlock, err := prune.Lock(root)
		switch {
		case errors.Is(err, prune.ErrBusy) && !wait:
			return nil, cli.StatusError{Cause: busyError{err}, StatusCode: exitBusy}
		case !errors.Is(err, prune.ErrBusy):
			return unlock, err
		}
		p.show("Waiting for another run to end…")
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

// A busyError says that another run is going on, and what to do about it.
type busyError struct{ error }

func (e busyError) Unwrap() error { return e.error }

// Hint says what a person can do.
func (busyError) Hint() string { return "wait for it with --wait" }

// tell says what became of runs that were interrupted.
func (s *session) tell(w io.Writer) {
	for _, run := range s.recovered {
		back, gone := 0, 0
		for _, o := range run.Outcomes {
			switch {
			case o.Gone():
				gone++
			case o.End == journal.PutBack:
				back++
			}
		}
		_, _ = fmt.Fprintf(w, "Run %s was interrupted: %d put back, %d carried to the end\n", run.ID, back, gone)
	}
	if s.trouble != nil {
		_, _ = fmt.Fprintf(w, "WARNING: an earlier run could not be ended, and what it took stays where it is:\n%s\n", indented(s.trouble))
		for _, hint := range hints(s.trouble) {
			_, _ = fmt.Fprintln(w, "  hint: "+scan.Printable(hint))
		}
	}
}

// looker returns what looks at everything anew: it finds the daemon again, for
// another one may answer by now. It looks as if there were none of the broken
// images in without.
func (o *globalOptions) looker(dockerCLI command.Cli, without map[scan.Node]bool) prune.Looker {
	sources := source.Again()
	return func(ctx context.Context, run string, named map[scan.Node]bool, walked func(*scan.Object) *scan.Usage) (_ *prune.Sight, err error) {
		policy, err := o.policy(dockerCLI.ConfigFile(), time.Now())
		if err != nil {
			return nil, err
		}
		in, closeRoot, err := o.locate(ctx, dockerCLI)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, closeRoot()) }()
		in.Run, in.Named, policy.Walk, policy.Without = run, named, named, without
		if in.KeepList, err = o.keepList(dockerCLI.ConfigFile(), time.Now()); err != nil {
			return nil, keepError{err}
		}
		seen := &prune.Sight{Input: in, Graph: scan.Scan(ctx, in, sources)}
		if err := ctx.Err(); err != nil {
			return nil, err // the doubts of a cancelled scan mean nothing
		}
		if walked == nil {
			seen.Findings, err = scan.Judge(ctx, in, seen.Graph, policy)
			return seen, err
		}
		for i := range seen.Graph.Objects {
			if ob := &seen.Graph.Objects[i]; ob.Usage == nil {
				ob.Usage = walked(ob)
			}
		}
		seen.Findings = scan.Classify(seen.Graph, policy)
		return seen, nil
	}
}
