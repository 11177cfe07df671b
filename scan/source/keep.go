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
		kept := 0
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
			for j := range in.KeepList {
				if e := &in.KeepList[j]; e.Matches(typesOf(o.Node), path.Base(o.Name), names...) {
					g.Keep(o.Node, "kept by "+e.Where+why(e.Reason), e.Where)
					kept++
					break
				}
			}
		}
		return fmt.Sprintf("%d entries, %d things", len(in.KeepList), kept), nil
	},
}

// typesOf are the types of findings that an object may be part of.
func typesOf(n scan.Node) []scan.Type {
	if n.Kind == scan.KindLayer || n.Kind == scan.KindPart {
		return []scan.Type{scan.TypeLayer, scan.TypeImageLayer, scan.TypeRWLayer, scan.TypeDownload}
	}
	return []scan.Type{scan.TypeOf(n)}
}

func why(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + scan.Printable(reason)
}
