package source

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
)

// The daemon sees the data root in a mount namespace of its own, which is
// played by another top: there the root is mounted, and a disk over part of it.
func TestSight(t *testing.T) {
	mounts := "image/overlay2/layerdb/mounts"
	for name, tc := range map[string]struct {
		over  string // where the daemon has another disk mounted
		hurt  func(t *testing.T, in *scan.Input)
		doubt string
	}{
		"the same":            {"", nil, ""},
		"another disk":        {"volumes", nil, "volumes"},
		"other records":       {mounts, nil, mounts},
		"another data root":   {".", nil, "."},
		"nobody has it":       {"", func(t *testing.T, in *scan.Input) { assert.NilError(t, os.Remove(in.DataRoot+"/plugins")) }, ""},
		"only the daemon":     {"", func(_ *testing.T, in *scan.Input) { in.Tree = brokenTree{in.Tree, "containers", fs.ErrNotExist} }, "containers"},
		"ours is unreadable":  {"", func(_ *testing.T, in *scan.Input) { in.Tree = brokenTree{in.Tree, "plugins", syscall.EIO} }, "plugins"},
		"the daemon is gone":  {"", func(_ *testing.T, in *scan.Input) { in.Host.Owner.PID = 8 }, "."},
		"no daemon":           {"volumes", func(_ *testing.T, in *scan.Input) { in.Daemon = nil }, ""},
		"a directory of ours": {"", func(t *testing.T, in *scan.Input) { putDirs(t, in.DataRoot, "overlay2/"+hex1) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root, proc := t.TempDir(), t.TempDir()
			putDirs(t, root, "containers", "volumes", mounts, "overlay2", "plugins")
			theirs := filepath.Join(proc, "7/root", root)
			assert.NilError(t, os.MkdirAll(theirs, 0o700))
			bind(t, root, theirs)
			if tc.over != "" {
				bind(t, t.TempDir(), filepath.Join(theirs, tc.over))
			}
			in, g := inputOf(t, root)
			in.Backends = []*scan.Backend{backend.Overlay2}
			in.Proc, in.Daemon, in.Host.Owner = proc, silentDaemon{}, &scan.Process{PID: 7, Name: "dockerd"}
			if tc.hurt != nil {
				tc.hurt(t, in)
			}
			_, err := Sight.Collect(t.Context(), in, g)
			assert.Equal(t, err != nil, tc.doubt != "", "%v", err)
			if tc.doubt == "" {
				assert.Equal(t, len(g.Doubts), 0, "%v", g.Doubts)
				return
			}
			assert.Equal(t, g.Doubts[0].Where, tc.doubt)
			assert.DeepEqual(t, g.Doubts[0].Scope, scan.Scope{})
		})
	}
}

func bind(t *testing.T, from, to string) {
	t.Helper()
	assert.NilError(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
	t.Cleanup(func() { assert.Check(t, unix.Unmount(to, unix.MNT_DETACH)) })
}
