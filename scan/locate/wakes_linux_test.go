package locate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// A countingDaemon counts how often it is asked; nobody answers.
type countingDaemon struct {
	scan.Daemon
	asked int
}

func (d *countingDaemon) Info(context.Context) (scan.DaemonInfo, error) {
	d.asked++
	return scan.DaemonInfo{}, errors.New("nobody answers")
}

// To ask a daemon that systemd starts for its clients is to start it: it is
// asked only if the data root that the user named is in use.
func TestAsksNobodyWhomItWouldWake(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const socket = "/run/docker.sock"
	const listening = "Num RefCount Protocol Flags Type St Inode Path\n0: 2 0 00010000 0001 01 77 " + socket + "\n"
	for name, tc := range map[string]struct {
		endpoint string
		table    string
		holds    bool // systemd has the socket
		named    bool // the user named the data root
		locked   bool // somebody has the data root locked
		asked    int
	}{
		"systemd listens":                   {"unix://" + socket, listening, true, true, false, 0},
		"the daemon runs":                   {"unix://" + socket, listening, true, true, true, 1},
		"no data root was named":            {"unix://" + socket, listening, true, false, false, 1},
		"the daemon listens itself":         {"unix://" + socket, listening, false, true, false, 1},
		"nobody listens":                    {"unix://" + socket, "Num RefCount Protocol Flags Type St Inode Path\n", true, true, false, 1},
		"another machine":                   {"tcp://example.com:2376", listening, true, true, false, 1},
		"what listens cannot be told":       {"unix://" + socket, "", true, true, false, 1},
		"something else listens at systemd": {"unix:///run/other.sock", listening, true, true, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			root, proc := quietHost(t)
			if tc.table != "" {
				assert.NilError(t, os.WriteFile(filepath.Join(proc, "1/net/unix"), []byte(tc.table), 0o600))
			}
			if tc.holds {
				assert.NilError(t, os.Symlink("socket:[77]", filepath.Join(proc, "1/fd/3")))
			}
			if tc.locked {
				own(t, proc, filepath.Join(root, "volumes/metadata.db"), "7")
			}
			d := &countingDaemon{}
			o := Options{Daemon: d, Endpoint: tc.endpoint, Proc: proc}
			if tc.named {
				o.DataRoot = root
			}
			in, done, err := Find(t.Context(), o)
			switch {
			case tc.locked:
				assert.ErrorContains(t, err, "is in use by dockerd (pid 7)")
			case !tc.named:
				assert.ErrorContains(t, err, "nobody answers")
			default:
				assert.NilError(t, err)
				assert.Assert(t, in.Daemon == nil)
				assert.NilError(t, done())
			}
			assert.Equal(t, d.asked, tc.asked)
		})
	}
}

// own makes a file, and a process that holds a lock on it.
func own(t *testing.T, proc, file, pid string) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	assert.NilError(t, os.WriteFile(file, nil, 0o600))
	key := keyOf(t, file)
	line := "1: FLOCK  ADVISORY  WRITE " + pid + " " + key + " 0 EOF\n"
	locks, err := os.OpenFile(filepath.Join(proc, "locks"), os.O_APPEND|os.O_WRONLY, 0o600)
	assert.NilError(t, err)
	_, err = locks.WriteString(line)
	assert.NilError(t, errors.Join(err, locks.Close()))
	for name, content := range map[string]string{
		"comm": "dockerd\n", "stat": pid + " (dockerd) S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0 0\n",
	} {
		assert.NilError(t, os.MkdirAll(filepath.Join(proc, pid, "fd"), 0o700))
		assert.NilError(t, os.WriteFile(filepath.Join(proc, pid, name), []byte(content), 0o600))
	}
	entries, err := os.ReadDir(filepath.Join(proc, pid, "fd"))
	assert.NilError(t, err)
	assert.NilError(t, os.Symlink(file, filepath.Join(proc, pid, "fd", string(rune('3'+len(entries))))))
}

// A run of docker orphans locks a data root against daemons, and is none: who
// only looks, or waits for its end, goes on.
func TestOwnerIsNoRun(t *testing.T) {
	for name, tc := range map[string]struct {
		database, run string // who has which lock
		want          int
	}{
		"nobody":                {"", "", 0},
		"a daemon":              {"7", "", 7},
		"a run":                 {"8", "8", 0},
		"a daemon beside a run": {"7", "8", 7},
		"a run that is online":  {"", "8", 0},
	} {
		t.Run(name, func(t *testing.T) {
			root, proc := t.TempDir(), t.TempDir()
			assert.NilError(t, testkit.QuietProc(proc))
			if tc.database != "" {
				own(t, proc, filepath.Join(root, "volumes/metadata.db"), tc.database)
			}
			if tc.run != "" {
				own(t, proc, filepath.Join(root, ".docker-orphans/lock"), tc.run)
			}
			by, err := owner(proc, root)
			assert.NilError(t, err)
			if tc.want == 0 {
				assert.Assert(t, by == nil, "%v", by)
				return
			}
			assert.Equal(t, by.PID, tc.want)
		})
	}
}

// keyOf is a file's device and inode as /proc/locks has them.
func keyOf(t *testing.T, file string) string {
	t.Helper()
	var st unix.Stat_t
	assert.NilError(t, unix.Stat(file, &st))
	return fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
}

// quietHost makes a data root, and a process table in which nobody uses it: of us,
// of the process 7, and of process 1, whose sockets are to be told.
func quietHost(t *testing.T) (root, proc string) {
	t.Helper()
	root, proc = t.TempDir(), t.TempDir()
	assert.NilError(t, os.MkdirAll(filepath.Join(root, "overlay2/l"), 0o700))
	assert.NilError(t, testkit.QuietProc(proc))
	assert.NilError(t, os.MkdirAll(filepath.Join(proc, "1/net"), 0o700))
	table, err := os.ReadFile("/proc/self/mountinfo")
	assert.NilError(t, err)
	for _, process := range []string{"self", "7"} {
		assert.NilError(t, os.MkdirAll(filepath.Join(proc, process), 0o700))
		assert.NilError(t, os.WriteFile(filepath.Join(proc, process, "mountinfo"), table, 0o600))
	}
	return root, proc
}
