package source

import (
	"context"
	"fmt"
	"path"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Keep marks what keep lists name, with all that it needs. A part of a thing
// may be named by its own id, as a layer's directory.
var Keep = &scan.Source{
	ID:  scan.SourceKeep,
	Doc: "keep lists: what users say must stay",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		kept, list := 0, &keepList{in.KeepList, make([]bool, len(in.KeepList))}
		for i := range g.Objects {
			if len(in.KeepList) == 0 {
				break
			}
			if err := ctx.Err(); err != nil {
				return "", err
			}
			o := &g.Objects[i]
			names := []string{g.TitleOf(o.Node)}
			if o.Kind == scan.KindMount {
				names = append(names, g.TitleOf(scan.ContainerNode(path.Base(o.Name))))
			}
			if e := list.about(o, names...); e != nil {
				g.Keep(o.Node, e.By(), e.Where)
				kept++
			}
		}
		in.KeepsNothing = list.idle()
		return fmt.Sprintf("%d entries, %d things", len(in.KeepList), kept), nil
	},
}

// A keepList remembers which of its entries were about something.
type keepList struct {
	entries []scan.KeepEntry
	matched []bool
}

// about returns the first entry that is about a thing, or nil.
func (l *keepList) about(o *scan.Object, names ...string) *scan.KeepEntry {
	var first *scan.KeepEntry
	for i := range l.entries {
		if e := &l.entries[i]; (first == nil || !l.matched[i]) && e.About(o, names...) {
			l.matched[i] = true
			if first == nil {
				first = e
			}
		}
	}
	return first
}

// idle are the entries that were about nothing.
func (l *keepList) idle() []scan.KeepEntry {
	var idle []scan.KeepEntry
	for i, e := range l.entries {
		if !l.matched[i] {
			idle = append(idle, e)
		}
	}
	return idle
}
