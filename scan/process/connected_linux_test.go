package process

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"
)

// A process is connected whose end of a socket it is, whoever accepted it, and no
// other that merely has such a file or listens.
func TestConnected(t *testing.T) {
	dir := t.TempDir()
	l := listen(t, filepath.Join(dir, "s"))
	stranger := shell(t, `echo ready; read line`)
	found, err := Connected("/proc", stranger, []int{os.Getpid()})
	assert.NilError(t, err)
	assert.Equal(t, len(found), 0)

	client, err := net.Dial("unix", filepath.Join(dir, "s"))
	assert.NilError(t, err)
	defer client.Close()
	server, err := l.Accept()
	assert.NilError(t, err)
	defer server.Close()
	file, err := server.(*net.UnixConn).File()
	assert.NilError(t, err)
	defer file.Close()
	assert.NilError(t, server.Close())
	attr := &os.ProcAttr{Files: []*os.File{nil, nil, nil, file}}
	child, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, attr)
	assert.NilError(t, err)
	defer func() { _ = child.Signal(syscall.SIGKILL); _, _ = child.Wait() }()
	found, err = Connected("/proc", os.Getpid(), []int{stranger, child.Pid})
	assert.NilError(t, err)
	assert.DeepEqual(t, found, []int{child.Pid})
	found, err = Connected("/proc", child.Pid, []int{stranger, child.Pid})
	assert.NilError(t, err)
	assert.DeepEqual(t, found, []int{child.Pid})
}

func TestHolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	assert.NilError(t, os.MkdirAll(dir, 0o700))
	held := func() []Holder {
		t.Helper()
		all, _ := Holders("/proc", "b/"+filepath.Base(t.Name())+".db") // others may refuse
		return all
	}
	path := filepath.Join(dir, filepath.Base(t.Name())+".db")
	assert.Equal(t, len(held()), 0)
	for range 2 {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		assert.NilError(t, err)
		defer f.Close()
	}
	info, err := Describe(path)
	assert.NilError(t, err)
	want := Holder{PID: os.Getpid(), Path: path}
	want.Key.Device, want.Key.Inode = info.Stamp.Device, info.Stamp.Inode
	assert.DeepEqual(t, held(), []Holder{want})
	assert.NilError(t, os.Remove(path))
	want.Removed = true
	assert.DeepEqual(t, held(), []Holder{want})
}
