package source

import (
	"fmt"
	"os"
	"os/exec"
	"path"
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

// A daemon that was told of a data root uses it, also when it has opened
// nothing yet, and by whatever way it was told.
func TestStartedDaemon(t *testing.T) {
	for name, tc := range map[string]struct {
		line   string // the command line, with spaces
		config string // its daemon.json
		files  map[string]string
		owner  int
		want   string // what the doubt says; "" for none
	}{
		"by its command line":      {line: "/usr/bin/dockerd --data-root ROOT", want: "was started on this data root"},
		"relative":                 {line: "dockerd -g below", files: map[string]string{"12/cwd": "-> ROOT/.."}, want: ""},
		"relative, and it is this": {line: "dockerd -g .", files: map[string]string{"12/cwd": "-> ROOT"}, want: "was started on this data root"},
		"through a link":           {line: "dockerd -g ROOT.link", want: "was started on this data root"},
		"of a time before dockerd": {line: "docker daemon -g ROOT", want: "was started on this data root"},
		"by its configuration":     {line: "dockerd", config: `{"data-root": "ROOT"}`, want: "was started on this data root"},
		"by an unreadable one":     {line: "dockerd", config: `{"data-root": "ROOT"`, want: "may have been started on this data root (/etc/docker/daemon.json: unexpected end of JSON input)"},
		"the owner":                {line: "dockerd --data-root ROOT", owner: 12},
		"of another data root":     {line: "dockerd --data-root /", config: `{}`},
		"of one that is not there": {line: "dockerd --data-root ROOT.none"},
		"of the default one":       {line: "dockerd"},
		"a client":                 {line: "docker -H unix://ROOT/s ps"},
		"of a file in it":          {line: "dockerd --data-root ROOT/overlay2"},
	} {
		t.Run(name, func(t *testing.T) {
			in, g := processRoot(t)
			assert.NilError(t, os.Symlink(in.DataRoot, in.DataRoot+".link"))
			if tc.owner != 0 {
				g.Host.Owner = &scan.Process{PID: tc.owner}
			}
			files := map[string]string{"12/comm": "dockerd\n", "12/cmdline": strings.ReplaceAll(tc.line, " ", "\x00") + "\x00", "12/stat": statOf(12, 1, 0)}
			program := path.Base(strings.Fields(tc.line)[0])
			files["12/comm"] = program + "\n"
			// Its root is ours but for its configuration.
			root := t.TempDir()
			top, _, _ := strings.Cut(in.DataRoot[1:], "/")
			assert.NilError(t, os.Symlink("/"+top, filepath.Join(root, top)))
			if tc.config != "" {
				putFile(t, root, "etc/docker/daemon.json", strings.ReplaceAll(tc.config, "ROOT", in.DataRoot))
			}
			files["12/root"] = "-> " + root
			for name, content := range tc.files {
				files[name] = content
			}
			_, err := collectProcesses(t, in, g, files)
			if tc.want == "" {
				assert.NilError(t, err)
				assert.Equal(t, len(g.Doubts), 0, "%v", g.Doubts)
				assert.Equal(t, len(g.Host.InUse), 0, "%v", g.Host.InUse)
				return
			}
			assert.ErrorContains(t, err, "1 processes may be daemons")
			assert.DeepEqual(t, doubtsOf(g), []string{fmt.Sprintf(
				"%s/12/cmdline: %s (pid 12) %s, and does not hold its lock: a second daemon may use the data root | stop it: process 12", in.Proc, program, tc.want)})
			assert.DeepEqual(t, g.Doubts[0].Scope, scan.Scope{})
			assert.DeepEqual(t, g.Host.InUse, []string{program + " (pid 12) " + tc.want})
		})
	}
}

// A daemon with user namespaces uses a directory below the one that it was
// told of.
func TestStartedDaemonRemapped(t *testing.T) {
	above := t.TempDir()
	putDirs(t, above, "1000.1000/overlay2")
	in, g := inputOf(t, filepath.Join(above, "1000.1000"))
	_, err := collectProcesses(t, in, g, map[string]string{
		"12/comm": "dockerd\n", "12/cmdline": "dockerd\x00-g\x00" + above + "\x00", "12/stat": statOf(12, 1, 0), "12/root": "-> /",
	})
	assert.ErrorContains(t, err, "1 processes may be daemons")
	assert.Equal(t, len(g.Host.InUse), 1)
}

// What works with a data root on which no daemon answers. Who only looks is
// none of it, nor is who uses a volume.
func TestInUse(t *testing.T) {
	const write, read = "pos:\t0\nflags:\t02100002\n", "pos:\t0\nflags:\t02100000\n"
	layer := "ROOT/overlay2/" + hex1
	for name, tc := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"written":              {map[string]string{"12/fd/3": "-> " + layer + "/diff/lib/file", "12/fdinfo/3": write}, []string{"overlay2/" + hex1 + "/diff/lib/file is open to write in sh (pid 12)"}},
		"written, of no layer": {map[string]string{"12/fd/3": "-> ROOT/containerd/meta.db", "12/fdinfo/3": write}, []string{"containerd/meta.db is open to write in sh (pid 12)"}},
		"a root":               {map[string]string{"12/root": "-> " + layer + "/diff"}, []string{"overlay2/" + hex1 + "/diff is root directory of sh (pid 12)"}},
		"run":                  {map[string]string{"12/exe": "-> " + layer + "/diff/lib/file"}, []string{"overlay2/" + hex1 + "/diff/lib/file is run by sh (pid 12)"}},
		"once for a process":   {map[string]string{"12/exe": "-> " + layer + "/diff/lib/file", "12/root": "-> " + layer + "/diff"}, []string{"overlay2/" + hex1 + "/diff is root directory of sh (pid 12)"}},
		"a shim":               {map[string]string{"12/comm": "containerd-shim\n", "12/cmdline": "containerd-shim-runc-v2\x00-id\x00" + hex3}, []string{"container " + hex3[:12] + " is run by containerd-shim (pid 12)"}},
		"read":                 {map[string]string{"12/fd/3": "-> " + layer + "/diff/lib/file", "12/fdinfo/3": read}, nil},
		"a shell":              {map[string]string{"12/cwd": "-> " + layer + "/diff"}, nil},
		"of a volume":          {map[string]string{"12/fd/3": "-> ROOT/volumes/data/_data/swap file", "12/fdinfo/3": write}, nil},
		"elsewhere":            {map[string]string{"12/fd/3": "-> /dev/null", "12/fdinfo/3": write}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, online := range []bool{false, true} {
				in, g := processRoot(t)
				putFile(t, in.DataRoot, "containerd/meta.db", "x")
				files := map[string]string{"12/comm": "sh\n"}
				for name, content := range tc.files {
					files[name] = content
				}
				if online {
					in.Host.Owner = &scan.Process{PID: 7}
					tc.want = nil
				}
				_, err := collectProcesses(t, in, g, files)
				assert.NilError(t, err)
				assert.DeepEqual(t, g.Host.InUse, tc.want)
			}
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
