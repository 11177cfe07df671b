package scan_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

const remapped = `
image app: base
container web app
mkdir 100000.100000/containers
mkdir 100000.100000/vfs/dir
layer stray on base
now +48h
`

// otherRoot returns what is said of the other daemon's data root, and sees to
// it that it changes nothing of what is said of this one's.
func otherRoot(t *testing.T, findings []scan.Finding) *scan.Finding {
	t.Helper()
	var root *scan.Finding
	for i, f := range findings {
		if f.Type == scan.TypeRoot {
			root = &findings[i]
		}
		assert.Assert(t, f.Type != scan.TypeLayer || f.Verdict == scan.Orphan, "%s: %s", f.Verdict, f.Reason)
	}
	return root
}

// As long as its own daemon runs, or anything of it is mounted, another data
// root is held (rule 5).
func TestOtherRootHeld(t *testing.T) {
	for name, hold := range map[string]func(in *scan.Input) error{
		"mounted": func(in *scan.Input) error {
			line := "9 1 8:1 / " + in.DataRoot + "/100000.100000/vfs/dir/x rw - ext4 /dev/x rw\n"
			return os.WriteFile(filepath.Join(in.Proc, "1/mountinfo"), []byte(line), 0o600)
		},
		"open": func(in *scan.Input) error {
			return os.Symlink(filepath.Join(in.DataRoot, "100000.100000/containers"), filepath.Join(in.Proc, "1/fd/7"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := testkit.Input(t, run(t, remapped))
			assert.NilError(t, hold(in))
			c := run(t, remapped)
			_, findings := testkit.JudgeInput(t, in, c.Policy)
			f := otherRoot(t, findings)
			assert.Equal(t, f.Verdict, scan.Held, f.Reason)
		})
	}
}

// It is as old as the newest of the directories in which its daemon makes and
// removes things (rule 4).
func TestOtherRootIsAsOldAsItsRecords(t *testing.T) {
	c := run(t, remapped)
	const dir = "100000.100000/vfs/dir"
	assert.NilError(t, os.Mkdir(filepath.Join(c.Dir, dir, "x"), 0o700))
	in := testkit.Input(t, c)
	info, err := in.Tree.Stat(dir)
	assert.NilError(t, err)
	_, findings := testkit.JudgeInput(t, in, c.Policy)
	recorded := otherRoot(t, findings).Parts[0].Note().Recorded
	assert.Equal(t, recorded.UnixNano(), info.Stamp.Change.UnixNano())
}

// What cannot be read keeps other data roots from being judged, and nothing
// else (rule 1).
func TestOtherRootThatCannotBeRead(t *testing.T) {
	for _, read := range []string{
		"Stat 100000.100000/vfs", "Stat 100000.100000/image/aufs", "Stat 100000.100000/vfs/dir", "Stat volumes/a/_data/containers",
		"Stat 100000.100000/containerd/daemon",
	} {
		c := run(t, remapped+"mkdir volumes/a/_data\n")
		in := testkit.Tapped(t, c, func(r testkit.Read) error {
			if r.String() == read {
				return syscall.EIO
			}
			return nil
		})
		g, findings := testkit.JudgeInput(t, in, c.Policy)
		doubt := func(d scan.Doubt) bool { return d.Source == scan.SourceRoots }
		assert.Assert(t, slices.ContainsFunc(g.Doubts, doubt), read)
		f := otherRoot(t, findings)
		assert.Assert(t, f == nil || f.Verdict == scan.Unsure, "%s: %+v", read, f)
	}
}
