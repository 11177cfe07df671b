package prune

import (
	"fmt"
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// An index finds the findings of a look by what they are made of.
type index struct {
	graph *scan.Graph
	of    map[scan.Node]*scan.Finding
}

func indexOf(seen *Sight) *index {
	x := &index{graph: seen.Graph, of: map[scan.Node]*scan.Finding{}}
	for i := range seen.Findings {
		for _, o := range seen.Findings[i].Parts {
			x.of[o.Node] = &seen.Findings[i]
		}
	}
	return x
}

// differs says why a step is not what was confirmed any more, or "" if it is:
// an orphan, or a damaged record, of the same parts, each with the same stamp
// (rule 8).
func (x *index) differs(s *Step, stamps bool) string {
	f := x.of[s.Objects[0].Node]
	switch {
	case f == nil:
		return "it is gone"
	case f.Verdict != scan.Orphan && (!s.Damaged || f.Verdict != scan.Damaged):
		return fmt.Sprintf("it is %s now: %s", f.Verdict, f.Reason)
	case f.Type != s.Type || len(f.Parts) != len(s.Objects):
		return "it has changed since it was shown"
	case s.Type == scan.TypeImageLayer && s.Remover != journal.Adopt && x.graph.Host.Online: // rule 7
		return "a daemon runs now, and has it in memory"
	case learned(s, f): // rule 7
		return "the daemon knows it now"
	case f.NotMine != "" && !s.Named:
		return f.NotMine
	}
	for _, o := range s.Objects {
		at := slices.IndexFunc(f.Parts, func(p *scan.Object) bool { return p.Node == o.Node })
		if at < 0 || stamps && f.Parts[at].Stamp != o.Stamp || (stamps || bare(s)) && !sameHandle(f.Parts[at], o) {
			return "it has changed since it was shown"
		}
	}
	return ""
}

// learned reports whether a volume that is to be renamed, or was, is one that the
// daemon knows by now: it would have it without a directory (rule 7). That the
// user named it does not change that.
func learned(s *Step, f *scan.Finding) bool {
	v := f.Parts[0].Note().Volume
	return isVolume(s.Type) && s.Moves != nil && s.Remover != journal.Link && v != nil && (v.Listed || v.Recorded)
}

// sameHandle reports whether their medium knows two objects as the same one.
func sameHandle(a, b *scan.Object) bool {
	x, y := a.Note().Handle, b.Note().Handle
	return x == y || x != nil && y != nil && *x == *y
}
