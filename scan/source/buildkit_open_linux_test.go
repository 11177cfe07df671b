package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"gotest.tools/v3/assert"
)

// TestBuildKitReadsWhatTheDaemonHasOpen plays the daemon: this process has
// the databases open, as they are or as they were (rule 2).
func TestBuildKitReadsWhatTheDaemonHasOpen(t *testing.T) {
	all := []string{"snapshots.db", "containerdmeta.db", "metadata_v2.db"}
	replace := func(t *testing.T, dir string) {
		for _, name := range all {
			data, err := os.ReadFile(filepath.Join(dir, name))
			assert.NilError(t, err)
			assert.NilError(t, os.Remove(filepath.Join(dir, name)))
			assert.NilError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
		}
	}
	tests := []struct {
		name    string
		open    []string
		after   func(t *testing.T, dir string)
		version string
		doubt   string
	}{
		{"all open", all, nil, "20.10.24", ""},
		{"replaced by a copy", all, replace, "20.10.24", "has another file of this name open"},
		{"replaced by a copy, no API", all, replace, "", "has another file of this name open"},
		{"one is not open", all[:2], nil, "20.10.24", "metadata_v2.db: daemon does not have it open"},
		{"none open, without BuildKit", nil, nil, "18.06.3-ce", ""},
		{"the directory was moved away and copied back", nil, nil, "18.09.9", "snapshots.db: daemon does not have it open"},
		{"removed", all, func(t *testing.T, dir string) { assert.NilError(t, os.RemoveAll(dir)) }, "20.10.24", "buildkit: is missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := realRoot(t, "built", builtLayers, builtChains)
			for _, name := range test.open {
				f, err := os.Open(filepath.Join(root, "buildkit", name))
				assert.NilError(t, err)
				defer f.Close()
			}
			if test.after != nil {
				test.after(t, filepath.Join(root, "buildkit"))
			}
			in, g := inputOf(t, root, backend.Overlay2)
			g.Doubts = nil
			in.Host.Owner = &scan.Process{PID: os.Getpid(), Name: "daemon"}
			if test.version != "" {
				in.Daemon, in.Info.Version = silentDaemon{}, test.version
			}
			_, err := BuildKit.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			said := buildDoubts(t, g)
			assert.Equal(t, said != "", test.doubt != "", said)
			assert.Assert(t, strings.Contains(said, test.doubt), said)
		})
	}
	t.Run("process gone", func(t *testing.T) {
		in, g := inputOf(t, realRoot(t, "built", builtLayers, builtChains), backend.Overlay2)
		g.Doubts = nil
		in.Proc = t.TempDir()
		in.Host.Owner = &scan.Process{PID: 1, Name: "daemon"}
		_, err := BuildKit.Collect(t.Context(), in, g)
		assert.NilError(t, err)
		assert.Assert(t, strings.Contains(buildDoubts(t, g), "buildkit: what daemon has open: "))
	})
}
