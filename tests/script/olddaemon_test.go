//go:build linux

package script

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// Every engine that our client can speak to, with the answers that it gives or
// with as little as it could answer, leads to the same verdicts: the client
// speaks the engine's API.
func TestOldDaemons(t *testing.T) {
	template, err := os.ReadFile("olddaemon.txtar")
	assert.NilError(t, err)
	for _, driver := range []string{"overlay2", "vfs"} {
		dir := t.TempDir()
		for _, api := range slices.Sorted(maps.Keys(testkit.OldEngines)) {
			first, last := api == "1.24", api == "1.40"
			if driver != "overlay2" && !first && !last {
				continue // they tell no more of one driver than of another
			}
			kinds := map[string]string{api: ""}
			if first || last {
				kinds[api+"-bare"] = "-bare"
			}
			for name, bare := range kinds {
				buildkit := ""
				if slices.Contains([]string{"1.39", "1.40"}, api) { // from 18.09 on, and until 19.03 without leases
					buildkit = "buildkit\nmv buildkit/metadata_v2.db buildkit/metadata.db\nrm buildkit/containerdmeta.db\n"
				}
				text := strings.NewReplacer("VERSION", api, "DRIVER", driver, "BARE", bare, "BUILDKIT\n", buildkit).Replace(string(template))
				assert.NilError(t, os.WriteFile(filepath.Join(dir, name+".txtar"), []byte(text), 0o600))
			}
		}
		t.Run(driver, func(t *testing.T) { run(t, dir) })
	}
}
