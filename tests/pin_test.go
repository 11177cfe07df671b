// Package tests holds what concerns the module as a whole.
package tests

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// docker/docker v28.5.2 is the last client that speaks API 1.24, hence with
// the daemons that still have aufs, devicemapper and overlay; docker/cli goes
// with it. Both have no go.mod, so `go mod tidy` would lift whatever it likes.
func TestPins(t *testing.T) {
	for module, want := range map[string]string{
		"github.com/docker/cli":    "v28.5.2+incompatible",
		"github.com/docker/docker": "v28.5.2+incompatible",
	} {
		assert.Equal(t, list(t, "-m", "-f", "{{.Version}}", module), want, "%s moved", module)
	}
	assert.Equal(t, list(t, "-m", "-f", "{{.GoVersion}}"), "1.25.0", "the go line moved")
}

// Imports go one way: cmd, plugin, prune, scan.
func TestImportDirection(t *testing.T) {
	const module = "github.com/docker-orphans/docker-orphans/"
	type pkg struct {
		ImportPath string
		Imports    []string
	}
	decoder := json.NewDecoder(strings.NewReader(list(t, "-json=ImportPath,Imports", "../...")))
	rank := map[string]int{"scan": 1, "prune": 2, "plugin": 3, "cmd": 4, "tests": 5}
	for decoder.More() {
		var p pkg
		assert.NilError(t, decoder.Decode(&p))
		from, _, _ := strings.Cut(strings.TrimPrefix(p.ImportPath, module), "/")
		for _, i := range p.Imports {
			to, ok := strings.CutPrefix(i, module)
			if !ok {
				continue
			}
			to, _, _ = strings.Cut(to, "/")
			assert.Assert(t, rank[from] >= rank[to] && rank[to] > 0, "%s imports %s", p.ImportPath, i)
		}
	}
}

func list(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	assert.NilError(t, err)
	return strings.TrimSpace(string(out))
}
