package source

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"gotest.tools/v3/assert"
)

func TestBuildKitDamage(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, set := range []string{"built"} {
		root := realRoot(t, set, builtLayers, builtChains)
		in, g := inputOf(t, root, backend.Overlay2)
		_, err := BuildKit.Collect(t.Context(), in, g)
		assert.NilError(t, err)
		all := append(needed(g, scan.KindLayer), needed(g, scan.KindChain)...)
		for _, name := range []string{"snapshots.db", "metadata_v2.db", "containerdmeta.db"} {
			file := filepath.Join(root, "buildkit", name)
			intact, err := os.ReadFile(file)
			assert.NilError(t, err)
			changed, lost := 0, 0
			for range 4000 {
				at := rnd.IntN(len(intact))
				for intact[at] == 0 { at = rnd.IntN(len(intact)) }
				data := slices.Clone(intact)
				data[at] ^= 1 << rnd.IntN(8)
				assert.NilError(t, os.WriteFile(file, data, 0o600))
				g := scan.NewGraph()
				_, err := BuildKit.Collect(t.Context(), in, g)
				assert.NilError(t, err)
				if len(g.Doubts) > 0 { changed++; continue }
				now := append(needed(g, scan.KindLayer), needed(g, scan.KindChain)...)
				for _, id := range all {
					if !slices.Contains(now, id) {
						lost++
						fmt.Printf("%s: byte %d %q→%q of %q: lost %s\n", name, at, intact[at], data[at], intact[max(0,at-60):min(len(intact),at+40)], id)
					}
				}
			}
			assert.NilError(t, os.WriteFile(file, intact, 0o600))
			t.Log(name, changed, lost)
		}
	}
}
