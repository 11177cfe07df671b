package outfile

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

// list is what is in a directory.
func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	assert.NilError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A file is there once it is whole, and what was there stays until then.
func TestFile(t *testing.T) {
	dir, root := t.TempDir(), t.TempDir()
	name := filepath.Join(dir, "f")
	assert.NilError(t, os.WriteFile(name, []byte("before"), 0o644))
	read := func() string {
		data, err := os.ReadFile(name)
		assert.NilError(t, err)
		return string(data)
	}
	write := func(commit bool) {
		f, err := Create(name, root)
		assert.NilError(t, err)
		_, err = f.Write([]byte("after"))
		assert.NilError(t, err)
		assert.Equal(t, read(), "before")
		if commit {
			assert.NilError(t, f.Commit())
		}
		assert.NilError(t, f.Close())
		assert.DeepEqual(t, list(t, dir), []string{"f"})
	}
	write(false)
	assert.Equal(t, read(), "before")
	write(true)
	assert.Equal(t, read(), "after")
	info, err := os.Stat(name)
	assert.NilError(t, err)
	assert.Equal(t, info.Mode(), os.FileMode(0o600))
}

// Nothing is written at or below the data root, by whatever path it is named,
// nor over what is no file.
func TestCreateRefused(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	assert.NilError(t, os.MkdirAll(root+"/below", 0o755))
	assert.NilError(t, os.Symlink(root+"/below", dir+"/link"))
	assert.NilError(t, os.Symlink("file", dir+"/filelink"))
	for name, says := range map[string]string{
		root + "/f":           "in the data root",
		root + "/below/f":     "in the data root",
		dir + "/link/f":       "in the data root",
		dir + "/filelink":     "not a regular file",
		dir + "/root":         "not a regular file",
		dir + "/none/f":       "no such file",
		dir + "/x/../root/f":  "in the data root",
		dir + "/root/../root": "not a regular file",
	} {
		_, err := Create(name, root)
		assert.ErrorContains(t, err, says, name)
	}
	assert.Equal(t, len(list(t, root)), 1)
	t.Chdir(root)
	_, err := Create("f", root)
	assert.ErrorContains(t, err, "in the data root")
}
