package source

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Origins tells which registered layers that no image names can be pulled
// again: the daemon remembers from which repository it pulled each layer, or
// to which it pushed it (moby distribution/metadata/v2_metadata_service.go):
//
//	image/<driver>/distribution/v2metadata-by-diffid/sha256/<diff id>
//
// It only ever adds to what is known of a layer: what cannot be read is as if
// it were not there.
var Origins = &scan.Source{
	ID:  scan.SourceOrigins,
	Doc: "image/<driver>/distribution: registries that have a layer",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		edges := g.Edges()
		found := 0
		for i := range g.Objects {
			o := &g.Objects[i]
			if o.Kind != scan.KindChain || o.Unrecognised != "" || edges.Needed(o.Node, scan.ByDiffIDs) {
				continue
			}
			if err := ctx.Err(); err != nil {
				return "", err
			}
			if repository := origin(in, o.Backend, o.Node, edges); repository != "" {
				note := o.Annotate()
				note.Origin, note.Was = repository, "layer of "+repository
				found++
			}
		}
		return fmt.Sprintf("%d layers without an image can be pulled again", found), nil
	},
}

// origin is the repository that has a layer, if some repository has each
// layer below it too.
func origin(in *scan.Input, driver string, chain scan.Node, edges *scan.Edges) string {
	found := ""
	for seen := map[scan.Node]bool{}; chain.Name != "" && !seen[chain]; chain = parentOf(chain, edges) {
		seen[chain] = true
		diff, err := in.Word(chain.Name+"/diff", maxWord)
		if err != nil {
			return ""
		}
		repository := repositoryOf(in, driver, diff)
		if repository == "" {
			return ""
		}
		if found == "" {
			found = repository
		}
	}
	return found
}

// parentOf is the entry that one lies on; the zero node for none.
func parentOf(chain scan.Node, edges *scan.Edges) scan.Node {
	for r := range edges.From(chain) {
		if r.Why == scan.ByParent {
			return r.To
		}
	}
	return scan.Node{}
}

func repositoryOf(in *scan.Input, driver, diff string) string {
	name := "image/" + driver + "/distribution/v2metadata-by-diffid/sha256/" + strings.TrimPrefix(diff, "sha256:")
	data, err := in.Tree.ReadFile(name, maxConfig)
	if err != nil {
		return ""
	}
	var sources []struct{ SourceRepository string }
	if json.Unmarshal(data, &sources) != nil {
		return ""
	}
	for _, s := range sources {
		if s.SourceRepository != "" {
			return s.SourceRepository
		}
	}
	return ""
}
