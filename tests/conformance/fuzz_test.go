package conformance

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
	"gotest.tools/v3/assert"
)

// FuzzRecords puts anything into any one file that a scan reads: ids, lists of
// layers, JSON of images, containers, tags. Nothing in use becomes an orphan,
// and nothing panics. The seeds are the files' own contents.
func FuzzRecords(f *testing.F) {
	c, err := testkit.Run(f.TempDir(), "overlay2", rich+duplicate["overlay2"]+"now +48h\n")
	assert.NilError(f, err)
	files := regular(f, c.Dir)
	for i, name := range files {
		data, err := os.ReadFile(filepath.Join(c.Dir, name))
		assert.NilError(f, err)
		f.Add(uint16(i), data)
		f.Add(uint16(i), data[:len(data)/2])
	}
	var before outcome
	f.Fuzz(func(t *testing.T, which uint16, content []byte) {
		if before.verdicts == nil {
			before = judge(t, testkit.Input(t, c), c.Policy)
		}
		name := files[int(which)%len(files)]
		path := filepath.Join(c.Dir, name)
		good, err := os.ReadFile(path)
		assert.NilError(t, err)
		assert.NilError(t, os.WriteFile(path, content, 0o600))
		after := judge(t, testkit.Input(t, c), c.Policy)
		assert.NilError(t, os.WriteFile(path, good, 0o600))
		for n, v := range after.verdicts {
			if was := before.verdicts[n]; v == scan.Orphan && was != scan.Orphan {
				t.Errorf("%s with %q: %s was %s and is an orphan", c.Symbols(name), content, c.Symbols(n.String()), was)
			}
		}
	})
}

// regular lists the files of a root that a scan may read, but for databases:
// they have targets of their own.
func regular(f *testing.F, root string) []string {
	f.Helper()
	var names []string
	assert.NilError(f, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (e.Name() == "diff" || e.Name() == "buildkit" || e.Name() == "volumes"):
			return fs.SkipDir
		case e.Type().IsRegular():
			name, err := filepath.Rel(root, path)
			names = append(names, name)
			return err
		}
		return nil
	}))
	return names
}
