package prune

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"github.com/docker-orphans/docker-orphans/tests/subvolume"
)

// The last thing in a driver's directory stays (rule 13).
func TestDriverDirectoryIsNotEmptied(t *testing.T) {
	dir := t.TempDir()
	read, err := tree.Open(dir)
	assert.NilError(t, err)
	defer func() { _ = read.Close() }()
	x := &run{Runner: &Runner{Tree: read}}
	same := func(name string) error {
		assert.NilError(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
		info, err := read.Stat(name)
		assert.NilError(t, err)
		s := &Step{Backend: "overlay", Objects: []*scan.Object{{Node: scan.Node{Kind: scan.KindLayer, Name: name}, Stamp: info.Stamp}}}
		return x.same(s, &journal.Move{From: name, Is: journal.IdentityOf(info.Stamp, info.Subvolume)})
	}
	assert.ErrorContains(t, same("overlay/"+id), "is all that is left in overlay")
	assert.NilError(t, os.Mkdir(filepath.Join(dir, "overlay/other"), 0o700))
	assert.NilError(t, same("overlay/"+id))
	assert.NilError(t, same("containers/"+id), "the last container of a driver that is not used any more")
}

// Where the kernel does not tell when a subvolume was made, its number tells it
// from another one at its name: all have the same inode.
func TestAnotherSubvolume(t *testing.T) {
	dir := subvolume.Mount(t)
	subvolume.Create(t, filepath.Join(dir, "layer"))
	read, err := tree.Open(dir)
	assert.NilError(t, err)
	defer func() { _ = read.Close() }()
	info, err := read.Stat("layer")
	assert.NilError(t, err)
	info.Stamp.Birth = time.Time{}
	mv := &journal.Move{From: "layer", Is: journal.IdentityOf(info.Stamp, info.Subvolume)}
	assert.NilError(t, fits(read, mv, "layer"))
	subvolume.Delete(t, filepath.Join(dir, "layer"))
	subvolume.Create(t, filepath.Join(dir, "layer"))
	assert.ErrorContains(t, fits(read, mv, "layer"), "is not what was shown")
}
