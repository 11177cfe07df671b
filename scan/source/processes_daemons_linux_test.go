package source

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Two daemons on one root contradict each other (rule 12).
func TestSecondDaemon(t *testing.T) {
	const write, read = "pos:\t0\nflags:\t02100002\nmnt_id:\t25\n", "pos:\t0\nflags:\t02100000\n"
	for name, tc := range map[string]struct {
		file, info string
		parent     int
		owner      int
		want       bool
	}{
		"volumes":                       {"volumes/metadata.db", write, 1, 7, true},
		"removed under it":              {"volumes/metadata.db (deleted)", write, 1, 7, true},
		"of Docker before 1.10":         {"linkgraph.db", write, 1, 0, true},
		"builds":                        {"buildkit/snapshots.db", write, 1, 7, true},
		"networks, and nobody has lock": {"network/files/local-kv.db", write, 1, 0, true},
		"flags are not told":            {"volumes/metadata.db", "pos:\t0\n", 1, 7, true},
		"a backup":                      {"volumes/metadata.db", read, 1, 7, false},
		"the owner":                     {"volumes/metadata.db", write, 1, 12, false},
		"a child of the owner":          {"volumes/metadata.db", write, 7, 7, false},
		"another file of that name":     {"volumes/v/_data/volumes/metadata.db", write, 1, 7, false},
		"closed since":                  {"volumes/metadata.db", "", 1, 7, false},
	} {
		t.Run(name, func(t *testing.T) {
			in, g := processRoot(t)
			putFile(t, in.DataRoot, tc.file, "x")
			if tc.owner != 0 {
				g.Host.Owner = &scan.Process{PID: tc.owner}
			}
			files := map[string]string{"12/comm": "dockerd\n", "12/fd/3": "-> ROOT/" + tc.file, "12/stat": statOf(12, tc.parent, 0)}
			if tc.info != "" {
				files["12/fdinfo/3"] = tc.info
			}
			_, err := collectProcesses(t, in, g, files)
			if !tc.want {
				assert.NilError(t, err)
				assert.Equal(t, len(g.Doubts), 0, "%v", g.Doubts)
				return
			}
			assert.ErrorContains(t, err, "1 processes may be daemons")
			assert.Equal(t, len(g.Doubts), 1)
			assert.Equal(t, g.Doubts[0].Where, in.Proc+"/12/fd/3")
			assert.Assert(t, strings.HasPrefix(g.Doubts[0].Err, "dockerd (pid 12) has a database"), g.Doubts[0].Err)
			assert.DeepEqual(t, g.Doubts[0].Scope, scan.Scope{})
		})
	}
}

// A daemon that goes on with files that were removed under it is seen, also
// where its paths begin elsewhere.
func TestDaemonWithRemovedFiles(t *testing.T) {
	for name, tc := range map[string]struct {
		path  string // what stands behind the data root's path there
		flags uintptr
		want  bool
	}{
		"the same view":      {"", 0, true},
		"another view":       {"-as-seen-elsewhere", unix.CLONE_NEWNS, true},
		"of another root":    {"-of-another-daemon", 0, false},
		"another view of it": {"", unix.CLONE_NEWNS, true},
	} {
		t.Run(name, func(t *testing.T) {
			in, g := processRoot(t)
			name := filepath.Join(in.DataRoot, volumeRows)
			f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
			assert.NilError(t, err)
			defer f.Close()
			child := exec.Command("sleep", "600")
			child.ExtraFiles = []*os.File{f}
			child.SysProcAttr = &syscall.SysProcAttr{Unshareflags: tc.flags}
			assert.NilError(t, child.Start())
			t.Cleanup(func() { assert.Check(t, child.Process.Kill()); _ = child.Wait() })
			assert.NilError(t, os.Remove(name))
			in.DataRoot += tc.path
			_, _ = Processes.Collect(t.Context(), in, g) // other processes of the machine may be in doubt too
			link := fmt.Sprintf("/proc/%d/fd/3", child.Process.Pid)
			found := false
			for _, d := range g.Doubts {
				found = found || d.Where == link && strings.Contains(d.Err, "a second daemon")
			}
			assert.Equal(t, found, tc.want, "%v", g.Doubts)
		})
	}
}
