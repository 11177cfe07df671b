package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/process"
)

// Quarantine reads what earlier runs have put aside. It can come back, so it
// is there as if it still lay in its place, and whatever it needs is kept; so
// is what was brought back, until something live names it or the user removes
// it by id. What a run took that goes on now is judged as everything else.
//
// It is read before all other sources: what they find mounted or open may lie
// in a quarantine.
var Quarantine = quarantineOf(journal.Read)

// quarantineOf is [Quarantine], as one reads journals.
func quarantineOf(read func(scan.Tree) ([]*journal.Run, error)) *scan.Source {
	return &scan.Source{
		ID:  scan.SourceQuarantine,
		Doc: journal.Runs + ": what earlier runs put aside or brought back",
		Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
			runs, problem := read(in.Tree)
			var unread journal.UnreadError
			if errors.As(problem, &unread) {
				for _, r := range unread { // what they need is not known, so everything stays
					g.Doubt(scan.Doubt{Source: scan.SourceQuarantine, Where: journal.RunDir(r.Run), Err: r.Error(), Hint: r.Hint()})
				}
			} else if problem != nil {
				g.Doubt(scan.Doubt{
					Source: scan.SourceQuarantine, Where: journal.Runs, Err: problem.Error(),
					Hint: "what the quarantine needs is not known, so everything stays",
				})
			}
			q := &quarantine{in: in, g: g, datasets: sync.OnceValues(func() (map[string]uint64, error) { return datasets(ctx, in) })}
			text, err := q.all(ctx, runs)
			if err = errors.Join(problem, err); err != nil {
				return "", err
			}
			return text, nil
		},
	}
}

// quarantine is one reading of all runs.
type quarantine struct {
	in       *scan.Input
	g        *scan.Graph
	held     int
	back     []func()                          // what says of a step that was brought back that it is kept
	datasets func() (map[string]uint64, error) // by name: their guids
}

func (q *quarantine) all(ctx context.Context, runs []*journal.Run) (string, error) {
	for _, run := range runs {
		if run.Plan == nil {
			continue
		}
		for i := range run.Plan.Steps {
			if err := ctx.Err(); err != nil {
				return "", err
			}
			if err := q.step(run, &run.Plan.Steps[i]); err != nil {
				return "", err
			}
		}
	}
	for _, keep := range slices.Backward(q.back) {
		keep() // after what lies in quarantine, for what is said first counts: it was removed again since
	}
	return fmt.Sprintf("%d runs, %d things put aside", len(runs), q.held), nil
}

// step adds one step's objects, as far as they are in its places.
func (q *quarantine) step(run *journal.Run, s *journal.Step) error {
	places := map[string]string{} // path of an object → where it is now
	for i := range s.Moves {
		there, err := q.lies(run, s, i)
		if err != nil {
			return err
		}
		if there {
			places[s.Moves[i].From] = s.Place(run.ID, i)
		}
	}
	q.shield(run, s)
	if s.Remover == journal.Link && run.ID == q.in.Run {
		return nil // its files have second names; the volume is where it was, until the daemon removes it
	}
	if s.Marker != "" {
		return q.marked(run, s)
	}
	switch {
	case len(places) > 0:
		q.held++
		q.aside(run, s, places)
		q.pin(run, s)
		if run.Restored(s.ID) {
			q.back = append(q.back, func() { q.restored(run, s) }) // a part of it is back
		}
	case run.Restored(s.ID):
		q.back = append(q.back, func() { q.restored(run, s) })
	case run.Purged(s.ID), run.Taken(s.ID) && !s.Waits():
		q.pin(run, s)
	}
	return nil
}

// lies reports whether something is in the place of a move. A dataset is while
// it cannot be told that it is not: the backend says why.
func (q *quarantine) lies(run *journal.Run, s *journal.Step, move int) (bool, error) {
	if d := s.Moves[move].Dataset; d.Name != "" {
		all, err := q.datasets()
		return err != nil || all[s.DatasetPlace(run.ID, move)] == d.GUID, nil
	}
	_, err := q.in.Tree.Stat(s.Place(run.ID, move))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// datasets lists those of the pool that the data root is in.
func datasets(ctx context.Context, in *scan.Input) (map[string]uint64, error) {
	if in.Pools == nil {
		return nil, errors.New("the datasets of this data root are not on this machine")
	}
	parent, err := in.Pools.At(ctx, in.DataRoot)
	if err != nil {
		return nil, err
	}
	pool, _, _ := strings.Cut(parent, "/")
	all, err := in.Pools.List(ctx, pool)
	guids := map[string]uint64{}
	for i := range all {
		guids[all[i].Name] = all[i].GUID
	}
	return guids, err
}

// marked keeps what the daemon was told to delete when it stops: until then it
// is there.
func (q *quarantine) marked(run *journal.Run, s *journal.Step) error {
	_, err := q.in.Tree.Stat(s.Marker)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, o := range s.Objects {
		q.g.Keep(o.Node, "marked by run "+run.ID+", which left it to the daemon to delete when it stops", s.Marker)
	}
	return err
}

// shield doubts what could not be judged as long as the step's thing was
// there. That we took it away proves nothing.
func (q *quarantine) shield(run *journal.Run, s *journal.Step) {
	if len(s.Shields) == 0 {
		return
	}
	q.g.Doubt(scan.Doubt{
		Source: scan.SourceQuarantine, Where: journal.File(run.ID), Err: "run " + run.ID + " took " + s.Objects[0].Name,
		Hint:  "as long as that was there, it could not be told what owns this, and no run of docker orphans changes it",
		Scope: scan.Scope{Nodes: s.Shields},
	})
}

// aside adds what was taken, with what it needs.
func (q *quarantine) aside(run *journal.Run, s *journal.Step, places map[string]string) {
	renamed := map[scan.Node]scan.Node{} // whose place was taken by something else meanwhile
	for _, o := range s.Objects {
		place, ok := places[o.Path()]
		if !ok {
			continue // not taken yet, or back already
		}
		moved, notes := *o, o.Note() // the plan's own stay as they are
		notes.Paths = []string{place}
		moved.Notes = &notes
		if q.g.Object(o.Node) != nil || !q.in.Gone(o.Path()) {
			moved.Name = place
			renamed[o.Node] = moved.Node
		}
		q.g.Add(moved)
		if what := q.what(run, s); what != "" {
			q.g.Keep(moved.Node, what, place)
		}
	}
	for _, r := range s.Refs {
		if n, ok := renamed[r.From]; ok {
			r.From = n
		}
		if n, ok := renamed[r.To]; ok {
			r.To = n
		}
		q.g.Refer(r.From, r.To, r.Why)
	}
}

// aside reports whether an object lies in a place of a run, not in its own.
func aside(o *scan.Object) bool { return strings.HasPrefix(o.Path(), journal.Runs+"/") }

// takenNow reports whether the run that goes on now took an object. What lies in
// the quarantine since an earlier run does not explain why there is no other of
// its kind: they may have been lost since (rule 1).
func takenNow(in *scan.Input, o *scan.Object) bool {
	return in.Run != "" && strings.HasPrefix(o.Path(), journal.RunDir(in.Run)+"/")
}

// what says why it is kept; "" for the run that goes on now, which has to
// know what would be said of it without.
func (q *quarantine) what(run *journal.Run, s *journal.Step) string {
	switch {
	case run.ID == q.in.Run:
		return ""
	case !run.Done:
		return "taken by run " + run.ID + ", which has not ended: it goes on, or the next prune puts it back or ends it"
	case !run.Taken(s.ID):
		return "taken by run " + run.ID + ", which could not put it back: the next prune tries again"
	case !s.Waits():
		return "taken by run " + run.ID + ", which could not free it: the next prune does"
	case run.Until.IsZero():
		return "in quarantine of run " + run.ID
	}
	return fmt.Sprintf("in quarantine of run %s until %s", run.ID, run.Until.UTC().Format("2006-01-02 15:04 UTC"))
}

// restored keeps what was brought back. A record whose data is gone needs no
// keeping, for no run takes it unless it is asked to repair; nor does a layer
// that went with such records, if they are back and name it.
func (q *quarantine) restored(run *journal.Run, s *journal.Step) {
	named := s.Type == scan.TypeImageLayer && len(s.After) > 0 &&
		!slices.ContainsFunc(s.After, func(id int) bool { return !run.Restored(id) })
	if s.Damaged || named {
		return
	}
	as, _ := run.RestoreAs(s.ID)
	for _, o := range s.Objects {
		if as != "" {
			o = &scan.Object{Node: scan.VolumeNode(as)}
		}
		if !q.in.Named[o.Node] {
			q.g.Keep(o.Node, "restored from run "+run.ID, journal.File(run.ID))
		}
	}
}

// pin keeps the chains that a daemon counts whose mount record was taken,
// until it starts again: it loaded the record when it started, and has no
// way to let it go.
func (q *quarantine) pin(run *journal.Run, s *journal.Step) {
	was, is := run.Owner, q.g.Host.Owner
	if was == nil || is == nil || !process.Same(was, is) {
		return
	}
	for _, chain := range s.Pins {
		pin(q.g, s.Objects[0].Name, journal.File(run.ID), chain)
	}
}

// pin says that the running daemon counts a chain because of a mount record.
func pin(g *scan.Graph, record, where string, chain scan.Node) {
	node := scan.Node{Kind: scan.KindMemory, Name: record}
	g.Live(node, "mount record "+scan.Short(record)+" until the daemon restarts", where)
	g.Refer(node, chain, scan.ByParent)
}
