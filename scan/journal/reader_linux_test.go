package journal

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/tree"
)

// A journal is read again as soon as it is another, and only then.
func TestReaderReadsWhatIsNew(t *testing.T) {
	dir := t.TempDir()
	file := func(run string) string { return filepath.Join(dir, File(run)) }
	write := func(run string, text []byte) {
		t.Helper()
		assert.NilError(t, os.MkdirAll(filepath.Dir(file(run)), 0o700))
		assert.NilError(t, os.WriteFile(file(run), text, 0o600))
	}
	root, err := tree.Open(dir)
	assert.NilError(t, err)
	defer func() { _ = root.Close() }()
	r := &Reader{}
	runs, err := r.Read(root)
	assert.NilError(t, err)
	assert.Equal(t, len(runs), 0)

	plan := journalOf(t, begun(step(1, "overlay2/a")))
	write("1", plan)
	assert.NilError(t, os.MkdirAll(filepath.Dir(file("2")), 0o700)) // cut off before it began
	first, err := r.Read(root)
	assert.NilError(t, err)
	assert.Assert(t, first[0].Plan != nil && !first[0].Looked && first[1].Plan == nil)
	again, err := r.Read(root)
	assert.NilError(t, err)
	assert.Assert(t, again[0] == first[0], "it is read anew")

	write("1", append(plan, journalOf(t, Record{Kind: Looked, Steps: []int{1}})...))
	write("2", plan)
	grown, err := r.Read(root)
	assert.NilError(t, err)
	assert.Assert(t, grown[0].Looked && grown[1].Plan != nil)

	// Another one of the same size, put in its place.
	other := journalOf(t, begun(step(1, "overlay2/b")))
	assert.Equal(t, len(other), len(plan))
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "new"), other, 0o600))
	assert.NilError(t, os.Rename(filepath.Join(dir, "new"), file("2")))
	swapped, err := r.Read(root)
	assert.NilError(t, err)
	assert.Equal(t, swapped[1].Plan.Steps[0].Moves[0].From, "overlay2/b")

	write("1", []byte("{\n"))
	_, err = r.Read(root)
	assert.ErrorContains(t, err, "line 1")
	assert.NilError(t, os.RemoveAll(filepath.Dir(file("1"))))
	left, err := r.Read(root)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 1)
}
