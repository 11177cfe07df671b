package locate

import (
	"os"
	"os/exec"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/process"
)

// What a daemon said counts only as long as it is the same process.
func TestUnchanged(t *testing.T) {
	daemon := exec.Command("sleep", "1000")
	assert.NilError(t, daemon.Start())
	owner, err := process.Find("/proc", daemon.Process.Pid)
	assert.NilError(t, err)
	in := &scan.Input{Proc: "/proc", DataRoot: "/srv/docker", Host: scan.Host{Owner: owner}}
	assert.NilError(t, Unchanged(in))
	assert.NilError(t, Unchanged(&scan.Input{Proc: "/proc"}), "none ran")

	assert.NilError(t, daemon.Process.Kill())
	_ = daemon.Wait() // it was killed
	assert.Error(t, Unchanged(in), "/srv/docker: the daemon was stopped or started meanwhile")
	in.Host.Owner = &scan.Process{PID: os.Getpid(), Started: owner.Started.AddDate(-1, 0, 0)}
	assert.ErrorContains(t, Unchanged(in), "meanwhile", "another process has its number")
}
