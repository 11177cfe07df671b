package plugin

import (
	"context"
	"errors"
	"time"

	"github.com/docker/cli/cli/command"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/source"
)

// A session is what a command that removes or brings back works with: the
// data root, locked against other runs and opened to write to it.
type session struct {
	*prune.Runner
	in    *scan.Input
	close func() error
}

// session locates the data root, locks it, and ends what an interrupted run
// began. The caller closes it.
func (o *globalOptions) session(ctx context.Context, dockerCLI command.Cli, report func(prune.Event)) (_ *session, err error) {
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
	unlock, err := prune.Lock(in.DataRoot)
	if err != nil {
		return nil, err
	}
	closers = append(closers, unlock)
	disk, closeDisk, err := prune.OpenDisk(in.DataRoot)
	if err != nil {
		return nil, err
	}
	closers = append(closers, closeDisk)
	s.Runner = &prune.Runner{
		Tree: in.Tree, Disk: disk, Look: o.looker(dockerCLI), Policy: prune.DefaultPolicy(), Now: time.Now, Report: report,
	}
	return s, nil
}

// looker returns what looks at everything anew: it finds the daemon again, for
// another one may answer by now.
func (o *globalOptions) looker(dockerCLI command.Cli) prune.Looker {
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
		in.Run, in.Named = run, named
		seen := &prune.Sight{Input: in, Graph: scan.Scan(ctx, in, source.All)}
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
