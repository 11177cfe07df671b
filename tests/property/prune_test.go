//go:build linux

package property

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"time"

	"pgregory.net/rapid"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/source"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// pruneBusy prunes while operations run, which go on between any two reads of
// any look. What is needed before and after is not taken, and every operation
// gets to its end: none finds something gone that it works at. What went to
// quarantine comes back, at times.
func (m *machine) pruneBusy(t *rapid.T) {
	every := rapid.IntRange(1, 60).Draw(t, "reads between steps")
	before := m.needed(true)
	reads := 0
	goOn := func(testkit.Read) error {
		if reads++; reads%every == 0 && len(m.running) > 0 {
			m.within++
			m.advance(t, reads/every%len(m.running))
		}
		return nil
	}
	r, done := m.runner(t, goOn)
	defer done()
	_, err := r.Recover(context.Background())
	must(t, err)
	seen, err := r.Look(context.Background(), "", nil, nil)
	must(t, err)
	plan := prune.NewPlan(seen.Graph, seen.Findings, prune.Options{Purge: rapid.Bool().Draw(t, "purge")})
	result, err := r.Execute(context.Background(), plan, seen.Graph.Host.Owner)
	must(t, err)
	m.prunes++
	m.count(result)
	m.noneTaken(t, result, before)
	m.forget()
	if rapid.Bool().Draw(t, "restore") {
		m.restore(t, r)
	}
}

// noneTaken asserts that nothing was taken that was needed all the time. What
// an operation misses in the middle, it fails by.
func (m *machine) noneTaken(t *rapid.T, result *prune.Result, before set) {
	after := m.needed(true)
	for _, o := range result.Outcomes {
		s := result.Plan.Step(o.Step)
		for _, mv := range s.Moves {
			if o.Gone() && before[mv.From] && after[mv.From] {
				t.Fatalf("%s is needed, and was taken\n%s", mv.From, result.Plan.String())
			}
		}
	}
}

// restore brings back what is in quarantine.
func (m *machine) restore(t *rapid.T, r *prune.Runner) {
	held, err := r.Held()
	must(t, err)
	_, err = r.Restore(t.Context(), held)
	must(t, err)
	for _, h := range held {
		for _, mv := range h.Step.Moves {
			if _, err := os.Lstat(m.path(mv.From)); err != nil {
				t.Fatalf("%s was restored, and is not there", mv.From)
			}
		}
	}
}

func (m *machine) count(result *prune.Result) {
	for _, o := range result.Outcomes {
		switch o.End {
		case journal.Freed:
			m.freed++
		case journal.Quarantined:
			m.held++
		case journal.KeptByOwner:
			m.kept++
		case journal.PutBack:
			m.putBack++
		}
	}
}

// runner prunes the world's data root. Age protects what operations make: it
// is judged by the daemon's start, and the grace is longer than they run.
func (m *machine) runner(t *rapid.T, before func(testkit.Read) error) (*prune.Runner, func()) {
	read, err := tree.Open(m.dir)
	must(t, err)
	unlock, err := prune.Lock(m.dir)
	must(t, err)
	disk, closeDisk, err := prune.OpenDisk(m.dir, m.proc)
	must(t, err)
	r := &prune.Runner{
		Tree: read, Disk: disk, Now: time.Now, Report: func(prune.Event) {},
		Policy: prune.Policy{BatchSteps: 3, BatchTime: time.Hour, Keep: time.Hour},
		Adopt:  m.adopt(t),
	}
	r.Look = func(ctx context.Context, run string, named map[scan.Node]bool, _ func(*scan.Object) *scan.Usage) (*prune.Sight, error) {
		in := m.input(read, true, before)
		in.Run, in.Named = run, named
		seen := &prune.Sight{Input: in, Graph: scan.Scan(ctx, in, source.All)}
		var err error
		seen.Findings, err = scan.Judge(ctx, in, seen.Graph, scan.Policy{Now: time.Now().Add(time.Minute), Grace: time.Minute + time.Hour})
		return seen, err
	}
	return r, func() {
		_ = closeDisk()
		_ = unlock()
		_ = read.Close()
	}
}

// adopt is the daemon releasing chains: what it counts a reference to stays.
func (m *machine) adopt(t *rapid.T) prune.Adopter {
	return func(_ context.Context, _ *prune.Sight, steps []*prune.Step) []prune.Outcome {
		var out []prune.Outcome
		for _, s := range steps {
			id := "sha256:" + path.Base(s.Objects[0].Name)
			if m.chains[id] != nil {
				must(t, m.finish(&operation{name: "adopt", steps: []step{m.release(id)}, holds: set{}, reuses: set{}}))
			}
			end := journal.Freed
			if m.chains[id] != nil {
				end = journal.KeptByOwner
			}
			out = append(out, prune.Outcome{Step: s.ID, End: end})
		}
		return out
	}
}

// forget takes note of what is on disk no more.
func (m *machine) forget() {
	gone := func(name string) bool {
		_, err := os.Lstat(m.path(name))
		return os.IsNotExist(err)
	}
	for id := range m.layers {
		if gone(m.layerPath(id)) && !m.needed(true)[m.layerPath(id)] {
			delete(m.layers, id)
		}
	}
	for name := range m.mounts {
		if dir := m.mountPath(name); gone(dir) && gone(filepath.Join(dir, "mount-id")) && !m.needed(true)[dir] {
			delete(m.mounts, name)
		}
	}
}
