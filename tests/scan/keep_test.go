package scan_test

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// One more line in a keep list never makes an orphan, and what it names is
// none any more, nor is anything that it lies on.
func TestKeepListOnlyProtects(t *testing.T) {
	files, err := filepath.Glob("../roots/*.txtar")
	assert.NilError(t, err)
	kept := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		assert.NilError(t, err)
		c, err := testkit.Run(filepath.Join(t.TempDir(), "root"), testkit.DrawnFor(archive), string(archive.Files[0].Data))
		assert.NilError(t, err)
		judge := func(list ...scan.KeepEntry) map[string]scan.Verdict {
			in := testkit.Input(t, c)
			in.KeepList = list
			_, findings := testkit.JudgeInput(t, in, c.Policy)
			verdicts := map[string]scan.Verdict{}
			for _, f := range findings {
				for _, o := range f.Parts {
					verdicts[o.Name] = f.Verdict
				}
			}
			return verdicts
		}
		before := judge()
		for name, verdict := range before {
			if verdict != scan.Orphan {
				continue
			}
			after := judge(scan.KeepEntry{Pattern: filepath.Base(name), Where: "a test"})
			assert.Equal(t, after[name], scan.Kept, "%s: %s", file, name)
			kept++
			for other, v := range after {
				assert.Assert(t, v != scan.Orphan || before[other] == scan.Orphan, "%s: keeping %s makes %s an orphan", file, name, other)
			}
		}
		for name, v := range judge(scan.KeepEntry{Pattern: "*"}) {
			assert.Assert(t, v != scan.Orphan, "%s: %s", file, name)
		}
		for name, v := range judge(scan.KeepEntry{Type: scan.TypeContainer, Pattern: "*"}) {
			_, layer := before[name]
			assert.Assert(t, !layer || filepath.Dir(name) == "containers" || v == before[name] || v == scan.Kept, "%s: %s", file, name)
		}
	}
	assert.Assert(t, kept > 30, "%d", kept)
}
