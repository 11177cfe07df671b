package apart

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/skip"
)

func TestMain(m *testing.M) { os.Exit(M(m).Run()) }

func TestNobodyElse(t *testing.T) {
	skip.If(t, os.Geteuid() != 0, "only root can be apart")
	pids, err := filepath.Glob("/proc/[0-9]*")
	assert.NilError(t, err)
	assert.DeepEqual(t, pids, []string{"/proc/1"})
	self, err := os.Readlink("/proc/self")
	assert.NilError(t, err)
	assert.Equal(t, self, "1")
	first, err := os.Readlink("/proc/1/ns/mnt")
	assert.NilError(t, err)
	out, err := exec.Command("readlink", "/proc/self/ns/mnt").Output()
	assert.NilError(t, err)
	assert.Equal(t, string(out), first+"\n")
}

// What a test program comes to is what all of it comes to.
func TestStatus(t *testing.T) {
	skip.If(t, os.Geteuid() != 0, "only root can be apart")
	if os.Getenv("FAIL") != "" {
		t.Fatal("as told")
	}
	for _, env := range [][]string{{"FAIL=1"}, {"FAIL=1", variable + "="}} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestStatus$")
		cmd.Env = append(os.Environ(), env...)
		err := cmd.Run()
		assert.Equal(t, cmd.ProcessState.ExitCode(), 1, "%v", err)
	}
}
