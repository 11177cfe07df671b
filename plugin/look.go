package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/cli/cli/command"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
	"github.com/docker-orphans/docker-orphans/scan/daemon"
	"github.com/docker-orphans/docker-orphans/scan/locate"
	"github.com/docker-orphans/docker-orphans/scan/source"
)

// A look is one scan of a data root and what came of it.
type look struct {
	in       *scan.Input
	policy   scan.Policy
	graph    *scan.Graph
	findings []*scan.Finding // sorted
	close    func() error    // closes the data root

	containerd    *containerd.Root // its root; nil if it was not asked for or not found
	containerdErr error            // why it was not found

	byHead map[scan.Node]*scan.Finding // by their first part; nil until asked
}

// look finds the data root, scans and judges it. The caller closes it.
func (o *globalOptions) look(ctx context.Context, dockerCLI command.Cli, p *progress) (*look, error) {
	return o.lookFor(ctx, dockerCLI, p, lookOptions{})
}

// lookOptions say what a command need not see, or sees otherwise.
type lookOptions struct {
	omitUsed bool               // leave out what is in use
	strict   bool               // a keep list that cannot be understood is an error
	silent   bool               // nor is it told: a completion is being typed
	named    map[scan.Node]bool // what the user removes by name: that it was restored once does not keep it
	// containerd is for what says where the space went or whose it is: also
	// of a daemon that keeps its images there, where nothing is judged.
	containerd bool
}

// lookFor is look, as a command wants it.
func (o *globalOptions) lookFor(ctx context.Context, dockerCLI command.Cli, p *progress, options lookOptions) (*look, error) {
	policy, err := o.policy(dockerCLI.ConfigFile(), time.Now())
	if err != nil {
		return nil, err
	}
	policy.OmitUsed = options.omitUsed
	list, err := o.keepList(dockerCLI.ConfigFile(), time.Now())
	switch {
	case err != nil && options.strict:
		return nil, keepError{err}
	case err != nil && !options.silent:
		_, _ = fmt.Fprintf(dockerCLI.Err(), "WARNING: %s\n", scan.Printable(keepError{err}.Error()))
	}
	defer p.clear()
	p.show("Scanning…")
	where := o.where(dockerCLI)
	where.Containerd = options.containerd
	in, closeRoot, err := locate.Find(ctx, where)
	if err != nil {
		return nil, err
	}
	in.Named, in.KeepList = options.named, list
	seen := &look{in: in, policy: policy, close: closeRoot}
	err = seen.judge(ctx)
	if err == nil && options.containerd {
		err = seen.readContainerd(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, seen.close())
	}
	return seen, nil
}

// A keepError is that of keep lists that cannot be understood or trusted.
type keepError struct{ error }

func (e keepError) Unwrap() error { return e.error }

// Hint says what a person can do.
func (keepError) Hint() string {
	return "nothing is removed as long as it is not known what must stay"
}

func (l *look) judge(ctx context.Context) error {
	l.graph = scan.Scan(ctx, l.in, source.All)
	if err := ctx.Err(); err != nil {
		return err // the doubts of a cancelled scan mean nothing
	}
	if len(l.in.Backends) == 0 {
		return nil // images are in containerd: no layer was enumerated, and nothing is judged
	}
	findings, err := scan.Judge(ctx, l.in, l.graph, l.policy)
	if err != nil {
		return err
	}
	for i := range findings {
		l.findings = append(l.findings, &findings[i])
	}
	return nil
}

// of returns the finding with this first part, or nil.
func (l *look) of(head scan.Node) *scan.Finding {
	if l.byHead == nil {
		l.byHead = make(map[scan.Node]*scan.Finding, len(l.findings))
		for _, f := range l.findings {
			l.byHead[f.Parts[0].Node] = f
		}
	}
	return l.byHead[head]
}

// measure walks findings for their sizes.
func (l *look) measure(ctx context.Context, findings []*scan.Finding, p *progress) error {
	defer p.clear()
	return scan.Measure(ctx, l.in, l.graph, findings, func(done, total int) {
		p.count("Measuring", done, total)
	})
}

// locate finds the data root. With --data-root the daemon may be down: then
// everything is read from disk.
func (o *globalOptions) locate(ctx context.Context, dockerCLI command.Cli) (*scan.Input, func() error, error) {
	return locate.Find(ctx, o.where(dockerCLI))
}

// where says where to look for the data root.
func (o *globalOptions) where(dockerCLI command.Cli) locate.Options {
	return locate.Options{
		Daemon:   daemon.New(dockerCLI.Client()),
		Endpoint: dockerCLI.DockerEndpoint().Host,
		DataRoot: o.dataRoot,
		Proc:     "/proc",
	}
}
