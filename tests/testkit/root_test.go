package testkit

import (
	"io/fs"
	"os"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A process that has a layer of one root open must not hold a layer of
// another, so roots that are made apart share no id and no short name.
func TestRootsApartShareNoID(t *testing.T) {
	const script = "image app: base top\ncontainer web app\nlayer stray on base\nbuild step on base\nbuildkit step\n"
	seen := map[string]string{}
	for _, root := range []string{t.TempDir(), t.TempDir()} {
		_, err := RunApart(root, "overlay2", script)
		assert.NilError(t, err)
		err = fs.WalkDir(os.DirFS(root), ".", func(path string, e fs.DirEntry, err error) error {
			if name := e.Name(); scan.IsID(name) || scan.IsBuildID(name) || len(name) == 26 {
				assert.Check(t, seen[name] == "" || seen[name] == root, "%s is in both roots", path)
				seen[name] = root
			}
			return err
		})
		assert.NilError(t, err)
	}
	assert.Assert(t, len(seen) > 20, "%d ids", len(seen))
}
