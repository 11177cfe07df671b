package source

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// Where there is no container, what containers have is in doubt, but for the run
// that has just taken the last one.
func TestNoContainers(t *testing.T) {
	for name, tc := range map[string]struct {
		run    string // that has taken a container's directory
		doubts int
	}{
		"none was taken":      {"", 2},
		"taken by an earlier": {"1", 2},
		"taken by this run":   {"2", 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			putDirs(t, root, "volumes/v/_data", "vfs/dir/"+hex1, "containers")
			in, g := inputOf(t, root, backend.VFS)
			in.Run = "2"
			_, err := VolumeDirs.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			if tc.run != "" {
				g.Add(scan.Object{Node: scan.ContainerNode(hex2), Notes: &scan.Notes{Paths: []string{journal.RunDir(tc.run) + "/held/1"}}})
			}
			before := len(g.Doubts)
			_, err = Containers.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			assert.Equal(t, len(g.Doubts)-before, tc.doubts, "%v", g.Doubts)
		})
	}
}
