package process

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

// child starts a program that writes a line once it is ready, and ends it
// with the test.
func child(t *testing.T, change func(*exec.Cmd), name string, args ...string) int {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs %s: %v", name, err)
	}
	cmd := exec.Command(name, args...)
	out, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	_, err = cmd.StdinPipe() // from which it can wait to read
	assert.NilError(t, err)
	cmd.Stderr = os.Stderr
	if change != nil {
		change(cmd)
	}
	assert.NilError(t, cmd.Start())
	t.Cleanup(func() {
		assert.Check(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed, and says so
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	assert.NilError(t, err)
	return cmd.Process.Pid
}

// shell starts a shell script, which waits with read so as to stay the one
// process that there is to end.
func shell(t *testing.T, script string, args ...string) int {
	t.Helper()
	return child(t, nil, "sh", append([]string{"-c", script, "sh"}, args...)...)
}

// root skips the test unless it may mount and trace.
func root(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// file makes an empty file.
func file(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	assert.NilError(t, os.WriteFile(path, nil, 0o600))
	return path
}
