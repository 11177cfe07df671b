package prune

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/docker-orphans/docker-orphans/prune/outfile"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// planFormat is the version of a saved plan's form.
const planFormat = 1

// A Saved plan is one that was written to a file, to be looked at and carried
// out later, maybe after the machine was started again. What it names is
// recognised by the file system's id, inode, birth, last change and path, and
// by the newest change below it: device numbers and mount ids do not survive
// that (rule 8).
type Saved struct {
	Format     int    `json:"format"`
	FileSystem string `json:"fileSystem"` // id of the data root's
	Purge      bool   `json:"purge"`      // it frees at once what would go to quarantine
	Plan       *Plan  `json:"plan"`
}

// Save writes a plan of a scan to a file that only its owner may read, in
// place of a regular one that has its name; whole, or not at all, and never into
// the data root.
func Save(name string, tree scan.Tree, p Plan, purge bool) (err error) {
	s := Saved{Format: planFormat, Purge: purge, Plan: &p}
	if p.Root, err = rootOf(tree); err != nil {
		return err
	}
	if s.FileSystem, err = fileSystem(p.DataRoot); err != nil {
		return err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	f, err := outfile.Create(name, p.DataRoot)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(append(text, '\n')); err != nil {
		return err
	}
	return f.Commit()
}

// Load reads a saved plan. Whether it is for this data root is for
// [Saved.Check] to say.
func Load(name string) (*Saved, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var s Saved
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%s: not a saved plan: %w", name, err)
	}
	switch {
	case s.Plan == nil:
		return nil, fmt.Errorf("%s: not a saved plan", name)
	case s.Format != planFormat || !s.Plan.Known():
		return nil, fmt.Errorf("%s: format %d.%d: written by another version of docker orphans", name, s.Format, s.Plan.Version)
	}
	for i := range s.Plan.Steps {
		if p := &s.Plan.Steps[i]; p.ID != i+1 || len(p.Objects) == 0 || slices.Contains(p.Objects, nil) {
			return nil, fmt.Errorf("%s: step %d: not a step", name, p.ID)
		}
	}
	return &s, nil
}

// Check refuses a plan that was made for another data root or under another
// engine than that of a scan.
func (s *Saved) Check(tree scan.Tree, h *scan.Host) error {
	if s.Plan.DataRoot != h.DataRoot {
		return fmt.Errorf("made for the data root %s, and this is %s", scan.Printable(s.Plan.DataRoot), h.DataRoot)
	}
	switch {
	case s.Plan.Offline && h.Online:
		return errors.New("made while no daemon ran on the data root, and one does now: things go in another way")
	case !s.Plan.Offline && !h.Online:
		return errors.New("made while a daemon ran on the data root, and none does now: things go in another way")
	}
	if s.Plan.EngineID != h.Info.EngineID {
		return fmt.Errorf("made under the engine %s, and this is %s", scan.Printable(s.Plan.EngineID), h.Info.EngineID)
	}
	root, err := rootOf(tree)
	if err != nil {
		return err
	}
	id, err := fileSystem(h.DataRoot)
	if err != nil {
		return err
	}
	if s.Plan.Root.Inode != root.Inode || s.Plan.Root.Subvolume != root.Subvolume || !s.Plan.Root.Birth.Equal(root.Birth) || s.FileSystem != id {
		return fmt.Errorf("made for another directory than the one that is %s now", h.DataRoot)
	}
	return nil
}

func rootOf(tree scan.Tree) (journal.Identity, error) {
	info, err := tree.Stat(".")
	return journal.IdentityOf(info.Stamp, info.Subvolume), err
}

// A Change is a step of a saved plan that does not hold any more.
type Change struct {
	Step *Step
	Why  string
}

// Renew makes the saved plan anew from a scan: of its steps, those whose
// findings are orphans still, and are in every part what they were. Those that
// are not, or would go in another way now, are returned as changes. That
// something below a part has changed is told only of what was measured: the
// caller measures what is left, and renews once more. What leave has a reason for
// stays, too.
func (s *Saved) Renew(g *scan.Graph, findings []scan.Finding, leave func(*scan.Finding) string) (Plan, []Change) {
	index := indexOf(&Sight{Graph: g, Findings: findings})
	changed := map[int]string{}
	for {
		take := map[scan.Node]*Step{}
		for i := range s.Plan.Steps {
			step := &s.Plan.Steps[i]
			if changed[step.ID] == "" {
				changed[step.ID] = index.since(step, leave)
			}
			if changed[step.ID] == "" {
				take[index.of[step.Objects[0].Node].Parts[0].Node] = step
			}
		}
		plan := NewPlan(g, findings, Options{Purge: s.Purge, Take: func(f *scan.Finding) bool { return take[f.Parts[0].Node] != nil }})
		again := false
		for i := range plan.Steps {
			now := &plan.Steps[i]
			saved := take[now.Objects[0].Node]
			now.Named = saved.Named
			if now.Remover != saved.Remover || !slices.Equal(now.Moves, saved.Moves) {
				changed[saved.ID], again = "it would go in another way now", true
			}
			delete(take, now.Objects[0].Node)
		}
		for _, left := range take {
			changed[left.ID] = "something that stays needs it now"
		}
		if !again {
			return plan, s.changes(changed)
		}
	}
}

func (s *Saved) changes(why map[int]string) []Change {
	var list []Change
	for i := range s.Plan.Steps {
		if step := &s.Plan.Steps[i]; why[step.ID] != "" {
			list = append(list, Change{step, why[step.ID]})
		}
	}
	return list
}

// since says why a step of an earlier boot is not what was saved any more, or is
// to stay; "" if neither.
func (x *index) since(s *Step, leave func(*scan.Finding) string) string {
	if why := x.differs(s, false); why != "" {
		return why
	}
	f := x.of[s.Objects[0].Node]
	for _, o := range f.Parts {
		at := slices.IndexFunc(s.Objects, func(p *scan.Object) bool { return p.Node == o.Node })
		was := s.Objects[at]
		if was.Stamp.Inode != o.Stamp.Inode || was.Note().Subvolume != o.Note().Subvolume || !was.Stamp.Birth.Equal(o.Stamp.Birth) ||
			!was.Stamp.Change.Equal(o.Stamp.Change) || !sameHandle(was, o) || !slices.Equal(was.Paths(), o.Paths()) ||
			was.Usage != nil && o.Usage != nil && !was.Usage.Newest.Equal(o.Usage.Newest) {
			return "it has changed since the plan was saved"
		}
	}
	return leave(f)
}
