package locate

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
	"github.com/docker-orphans/docker-orphans/scan/tree"
)

// As far as a connection goes this process is a dockerd with a containerd in it.
func TestFindContainerd(t *testing.T) {
	made := func(t *testing.T, root string) string {
		t.Helper()
		db := filepath.Join(root, containerd.MetaDB)
		assert.NilError(t, os.MkdirAll(filepath.Dir(db), 0o700))
		assert.NilError(t, os.WriteFile(db, nil, 0o600))
		return db
	}
	hold := func(t *testing.T, db string) {
		t.Helper()
		f, err := os.Open(db)
		assert.NilError(t, err)
		t.Cleanup(func() { f.Close() })
	}
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, root string) // root is below a directory of its own
		offline bool
		below   string
		says    string
	}{
		"elsewhere":           {prepare: func(t *testing.T, root string) { hold(t, made(t, root+"/../other")) }},
		"below the data root": {prepare: func(t *testing.T, root string) { hold(t, made(t, root+"/containerd/daemon")) }, below: "containerd/daemon"},
		"nobody has one open": {prepare: func(t *testing.T, root string) { made(t, root+"/containerd/daemon") }, says: "has a database of containerd open"},
		"removed": {prepare: func(t *testing.T, root string) {
			db := made(t, root+"/../other")
			hold(t, db)
			assert.NilError(t, os.Remove(db))
		}, says: "works with a database that was removed"},
		"another file": {prepare: func(t *testing.T, root string) {
			db := made(t, root+"/../other")
			hold(t, db)
			made(t, root+"/../mounted")
			other := filepath.Join(root, "../other")
			assert.NilError(t, unix.Mount(filepath.Join(root, "../mounted"), other, "", unix.MS_BIND, ""))
			t.Cleanup(func() { assert.NilError(t, unix.Unmount(other, 0)) })
		}, says: "sees another directory there than we do"},
		"two": {prepare: func(t *testing.T, root string) {
			hold(t, made(t, root+"/../one"))
			hold(t, made(t, root+"/../other"))
		}, says: "is connected to two"},
		"offline, its own": {prepare: func(t *testing.T, root string) { made(t, root+"/containerd/daemon") }, offline: true, below: "containerd/daemon"},
		"offline, none":    {prepare: func(*testing.T, string) {}, offline: true, says: "no daemon runs that says"},
	} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			assert.NilError(t, os.Mkdir(root, 0o700))
			disk, err := tree.Open(root)
			assert.NilError(t, err)
			defer disk.Close()
			tc.prepare(t, root)
			in := &scan.Input{Tree: disk, DataRoot: disk.Path(), Proc: "/proc"}
			in.Host.Owner = &scan.Process{PID: os.Getpid(), Name: "dockerd"}
			if !tc.offline {
				in.Daemon = struct{ scan.Daemon }{}
			}
			c, err := FindContainerd(in)
			if tc.says != "" {
				assert.ErrorContains(t, err, tc.says)
				return
			}
			assert.NilError(t, err)
			assert.NilError(t, c.Close())
			assert.Equal(t, c.Below, tc.below)
		})
	}
}
