package prune

import (
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
)

// repairable reports whether a finding may be set aside to repair what is
// broken: a record whose data is gone, a registered layer that lies on one. What
// a running daemon has in memory stays (rule 7): it loads each entry of layerdb
// that names a layer, whether that is there or not.
func repairable(f *scan.Finding, online bool) bool {
	if f.Verdict != scan.Damaged && f.Verdict != scan.Orphan {
		return false
	}
	switch f.Type {
	case scan.TypeMetadata:
		return f.Verdict == scan.Damaged
	case scan.TypeImageLayer:
		return !online && !apart(f)
	}
	return false
}

// bereft lists what must not be judged by what a repair sets aside (rule 16):
// layers that are there and that only the i-th thing, a broken image, has kept,
// and what was in doubt before because of it.
func (d *draft) bereft(g *scan.Graph, findings, before []scan.Finding, i int) []scan.Node {
	nodes := shields(g, before, d.orphans[i])
	for _, r := range d.refs[i] {
		if r.Why != scan.ByConfig {
			continue
		}
		for j := range findings {
			f := &findings[j]
			if f.Verdict == scan.Orphan && slices.ContainsFunc(f.Parts, func(o *scan.Object) bool { return o.Node == r.To }) {
				for _, o := range f.Parts {
					nodes = append(nodes, o.Node)
				}
			}
		}
	}
	return slices.DeleteFunc(nodes, func(n scan.Node) bool { // what goes itself is looked at again until it is gone
		_, goes := d.step[n]
		return goes
	})
}
