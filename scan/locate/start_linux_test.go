package locate

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree"
)

// birthless is a tree of a file system that tells no births.
type birthless struct{ scan.Tree }

func (b birthless) Stat(name string) (scan.Info, error) {
	info, err := b.Tree.Stat(name)
	info.Stamp.Birth = time.Time{}
	return info, err
}

// mounted is a tree whose tmp is another mount, of the same file system or not.
type mounted struct {
	scan.Tree
	device uint64
}

func (m mounted) Stat(name string) (scan.Info, error) {
	info, err := m.Tree.Stat(name)
	if name == "tmp" {
		info.Stamp.Mount++
		info.Stamp.Device += m.device
	}
	return info, err
}

func TestTmpMade(t *testing.T) {
	for name, tc := range map[string]struct {
		version, environ string
		hurt             func(t *testing.T, in *scan.Input)
		known            bool
	}{
		"at the start":              {"20.10.24", "PATH=/bin\x00HOME=/\x00", nil, true},
		"first engine that does":    {"17.05.0-ce", "", nil, true},
		"another directory":         {"20.10.24", "PATH=/bin\x00DOCKER_TMPDIR=/srv/tmp\x00", nil, false},
		"no other directory":        {"20.10.24", "DOCKER_TMPDIR=\x00", nil, true},
		"an engine that keeps it":   {"17.04.0-ce", "", nil, false},
		"an engine of no version":   {"", "", nil, false},
		"nobody's":                  {"20.10.24", "", func(_ *testing.T, in *scan.Input) { in.Host.Owner = nil }, false},
		"environment not readable":  {"20.10.24", "", func(_ *testing.T, in *scan.Input) { in.Host.Owner.PID = 8 }, false},
		"file system tells nothing": {"20.10.24", "", func(_ *testing.T, in *scan.Input) { in.Tree = birthless{in.Tree} }, false},
		"a bind mount":              {"20.10.24", "", func(_ *testing.T, in *scan.Input) { in.Tree = mounted{in.Tree, 0} }, false},
		"a disk of its own":         {"20.10.24", "", func(_ *testing.T, in *scan.Input) { in.Tree = mounted{in.Tree, 1} }, false},
		"not there":                 {"20.10.24", "", func(t *testing.T, in *scan.Input) { assert.NilError(t, os.Remove(in.DataRoot+"/tmp")) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			root, proc := t.TempDir(), t.TempDir()
			assert.NilError(t, os.Mkdir(filepath.Join(root, "tmp"), 0o700))
			assert.NilError(t, os.Mkdir(filepath.Join(proc, "7"), 0o700))
			assert.NilError(t, os.WriteFile(filepath.Join(proc, "7", "environ"), []byte(tc.environ), 0o600))
			disk, err := tree.Open(root)
			assert.NilError(t, err)
			defer disk.Close()
			in := &scan.Input{
				Tree: disk, DataRoot: root, Proc: proc,
				Info: scan.DaemonInfo{Version: tc.version}, Host: scan.Host{Owner: &scan.Process{PID: 7}},
			}
			if tc.hurt != nil {
				tc.hurt(t, in)
			}
			made := tmpMade(in)
			assert.Equal(t, !made.IsZero(), tc.known, "%s", made)
			assert.Assert(t, made.IsZero() || time.Since(made) < time.Minute)
		})
	}
}
