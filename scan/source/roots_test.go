package source

import (
	"fmt"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/backend"
)

// What is mounted below a volume, or lies behind a server, is not looked at: it
// may not answer.
func TestRootsBehindMounts(t *testing.T) {
	const volume = "volumes/v/_data"
	for name, tc := range map[string]struct {
		at, fstype string
		found      int
	}{
		"nothing":            {"elsewhere", "nfs4", 2},
		"a volume's data":    {volume, "nfs4", 1},
		"whatever it is":     {volume, "ext4", 1},
		"deeper":             {volume + "/containers", "fuse.sshfs", 1},
		"beside":             {volume + "2", "nfs4", 2},
		"a copy on a server": {"copy", "virtiofs", 1},
		"a copy on a disk":   {"copy", "ext4", 2},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, dir := range []string{volume, "copy"} {
				putDirs(t, root, dir+"/containers", dir+"/overlay2")
			}
			in, g := inputOf(t, root, backend.VFS)
			in.Proc = t.TempDir()
			putFile(t, in.Proc, "self/mountinfo", "1 1 0:1 / / rw - ext4 disk rw\n"+
				fmt.Sprintf("2 1 0:2 / %s/%s rw - %s x rw\n", root, tc.at, tc.fstype))
			note, err := Roots.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			assert.Equal(t, note, fmt.Sprintf("%d data roots of other daemons", tc.found))
			assert.Equal(t, len(g.Doubts), 0)
		})
	}
}
