package prune

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker-orphans/docker-orphans/prune/linked"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/process"
	"github.com/docker-orphans/docker-orphans/scan/zfs"
)

// A Policy is how carefully a run goes about it. The defaults are the least
// that the rules ask for; tests shorten the waits.
type Policy struct {
	Between    time.Duration // from the look that the plan was made from to the one before the first act (rule 8)
	Settle     time.Duration // between the looks that say that something in use is damaged
	BatchSteps int           // steps between two looks
	BatchTime  time.Duration // time between two looks
	Keep       time.Duration // how long the quarantine keeps
}

// DefaultPolicy is what the rules ask for.
func DefaultPolicy() Policy {
	return Policy{Between: 10 * time.Second, Settle: 5 * time.Second, BatchSteps: 64, BatchTime: time.Second, Keep: 7 * 24 * time.Hour}
}

// A Sight is one look at all sources, judged.
type Sight struct {
	Input    *scan.Input
	Graph    *scan.Graph
	Findings []scan.Finding
}

// A Looker looks at all sources anew, from finding the daemon on. Where walked
// is not nil it need not walk again what that knows.
type Looker func(ctx context.Context, run string, named map[scan.Node]bool, walked func(*scan.Object) *scan.Usage) (*Sight, error)

// An Adopter has the daemon release chains: it makes each an image for a
// moment and removes that. It returns one outcome a step.
type Adopter func(ctx context.Context, seen *Sight, steps []*Step) []Outcome

// An Event is something that a person may want to see while a run goes on.
type Event struct {
	Text        string   // what goes on: "Looking again"
	Done, Total int      // of it; 0 if that is not counted
	Outcome     *Outcome // what became of a step, as soon as it is known
}

// A Runner removes what plans say from one data root. Its fields are set
// once; the lock of the state directory is held by whoever made it.
type Runner struct {
	Tree  scan.Tree
	Disk  Disk
	Look  Looker
	Adopt Adopter // nil: no daemon runs
	Pool  Pool    // nil: a daemon runs, and no thin device or dataset is deleted beside it
	ZFS   zfs.Runner
	// Volumes is the daemon as it removes and makes volumes; nil: none runs.
	Volumes Volumes
	Policy  Policy
	Now     func() time.Time
	Report  func(Event)
}

// A run is one execution of a plan.
type run struct {
	*Runner
	id     string
	plan   Plan
	owner  *scan.Process // the daemon that the plan was made under; nil if none ran
	named  map[scan.Node]bool
	ends   []Outcome          // by step; an empty End is not decided yet
	taken  []bool             // by step: all its moves were made, or it was linked
	sums   map[int]linked.Sum // by step: of a volume that was linked
	looked time.Time          // when the last look ended: one that takes long must not come before each step
	since  int                // steps since
}

// errStop ends a run early; what was taken and not looked at is put back.
var errStop = errors.New("stopped")

// Execute carries out a confirmed plan: exactly that one, or less of it. The
// plan's own scan was the first look; nothing is touched before a second one
// at least Policy.Between later says the same (rule 8). It renames aside, looks
// again, and only then unlinks (rule 15). The error, if any, says why it could
// not begin; otherwise the result says what became of each step.
func (r *Runner) Execute(ctx context.Context, plan Plan, owner *scan.Process) (*Result, error) {
	x := &run{
		Runner: r, id: newRunID(r.Now()), plan: plan, owner: owner, named: map[scan.Node]bool{},
		ends: make([]Outcome, len(plan.Steps)), taken: make([]bool, len(plan.Steps)),
		sums: map[int]linked.Sum{},
	}
	for i := range plan.Steps {
		x.ends[i].Step = plan.Steps[i].ID
		if s := &plan.Steps[i]; s.Named {
			for _, o := range s.Objects {
				x.named[o.Node] = true
			}
		}
	}
	if err := x.wait(ctx); err != nil {
		return nil, err
	}
	x.Report(Event{Text: "Looking again"})
	seen, err := x.look(ctx, nil)
	if err != nil {
		return nil, err
	}
	x.compare(seen)
	x.refresh(seen)
	x.ask(ctx)
	x.ready(ctx)
	if err := x.begin(); err != nil {
		return nil, err
	}
	stopped := x.act(ctx)
	x.settle(stopped)
	result := &Result{Run: x.id, Plan: x.plan, Outcomes: x.ends}
	if stopped != nil {
		result.Stopped = stopped.Error()
	}
	return result, x.finish()
}

// wait waits until the second look is due.
func (x *run) wait(ctx context.Context) error {
	due := x.plan.Made.Add(x.Policy.Between)
	for left := due.Sub(x.Now()); left > 0; left = due.Sub(x.Now()) {
		x.Report(Event{Text: fmt.Sprintf("Looking again in %d s", int(left.Round(time.Second).Seconds()))})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(left, time.Second)):
		}
	}
	return ctx.Err()
}

// due reports whether a batch is over, so that all must be looked at again
// before the next step.
func (x *run) due() bool {
	return x.since >= x.Policy.BatchSteps || x.Now().Sub(x.looked) > x.Policy.BatchTime
}

// look looks at all sources. That the daemon is another one than the plan was
// made under is an error: what it has in memory is not known.
func (x *run) look(ctx context.Context, walked func(*scan.Object) *scan.Usage) (*Sight, error) {
	seen, err := x.Look(ctx, x.id, x.named, walked)
	x.looked, x.since = x.Now(), 0
	if err != nil {
		return nil, err
	}
	if is := seen.Graph.Host.Owner; !sameProcess(x.owner, is) {
		return nil, fmt.Errorf("%s: the daemon was stopped or started meanwhile: %w", x.plan.DataRoot, errStop)
	}
	if err := Idle(seen.Graph); err != nil {
		return nil, fmt.Errorf("%w: %w", err, errStop)
	}
	return seen, nil
}

func sameProcess(a, b *scan.Process) bool {
	if a == nil || b == nil {
		return a == b
	}
	return process.Same(a, b)
}

// compare skips every step that is not what was confirmed any more.
func (x *run) compare(seen *Sight) {
	index := indexOf(seen)
	for i := range x.plan.Steps {
		if x.ends[i].End == "" && !x.taken[i] {
			if why := index.differs(&x.plan.Steps[i], true); why != "" {
				x.end(i, journal.Skipped, why)
			}
		}
	}
	x.orphaned()
}

// orphaned skips what other steps lie on that do not go.
func (x *run) orphaned() {
	for i := range x.plan.Steps {
		for _, before := range x.plan.Steps[i].After {
			if e := x.ends[before-1].End; x.ends[i].End == "" && e != "" && !x.ends[before-1].Gone() {
				x.end(i, journal.Skipped, fmt.Sprintf("%s, which needs it, stays", x.plan.Steps[before-1].Finding))
			}
		}
	}
}

// refresh takes the objects over as they were seen last: walked anew.
func (x *run) refresh(seen *Sight) {
	for i := range x.plan.Steps {
		for j, o := range x.plan.Steps[i].Objects {
			if now := seen.Graph.Object(o.Node); now != nil && x.ends[i].End == "" {
				kept := *now
				if kept.Usage == nil {
					kept.Usage = o.Usage
				}
				x.plan.Steps[i].Objects[j] = &kept
			}
		}
	}
}

// walked is what is known of an object of the plan, for looks that follow.
func (x *run) walked() func(*scan.Object) *scan.Usage {
	known := map[scan.Node]*scan.Object{}
	for i := range x.plan.Steps {
		for _, o := range x.plan.Steps[i].Objects {
			known[o.Node] = o
		}
	}
	return func(o *scan.Object) *scan.Usage {
		if k := known[o.Node]; k != nil && k.Stamp == o.Stamp {
			return k.Usage
		}
		return nil
	}
}

func (x *run) end(i int, end journal.End, reason string) {
	x.ends[i].End, x.ends[i].Reason = end, reason
	x.Report(Event{Outcome: &x.ends[i]})
}

// Bytes is how much disk space a step's objects take, as far as it is known.
func Bytes(s *Step) int64 {
	var sum int64
	for _, o := range s.Objects {
		if o.Usage != nil {
			sum += o.Usage.Bytes
		}
	}
	return sum
}
