package process

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

// listen listens at a path; the file stays when the listener goes.
func listen(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	assert.NilError(t, err)
	l.SetUnlinkOnClose(false)
	t.Cleanup(func() { _ = l.Close() }) // some tests close it before
	return l
}

func TestListens(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	run, link := filepath.Join(dir, "run"), filepath.Join(dir, "var-run")
	assert.NilError(t, os.Mkdir(run, 0o755))
	assert.NilError(t, os.Symlink("run", link))
	socket, aliased := filepath.Join(run, "docker.sock"), filepath.Join(link, "aliased sock")
	listen(t, socket)
	listen(t, aliased)
	packets, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(run, "packets"), Net: "unixgram"})
	assert.NilError(t, err)
	defer packets.Close()
	stranger := shell(t, `echo ready; read line`)

	for name, tc := range map[string]struct {
		pid  int
		path string
		want bool
	}{
		"ours":                         {os.Getpid(), socket, true},
		"by a link":                    {os.Getpid(), filepath.Join(link, "docker.sock"), true},
		"bound by a link":              {os.Getpid(), filepath.Join(run, "aliased sock"), true},
		"both by a link, with a space": {os.Getpid(), aliased, true},
		"nobody's":                     {os.Getpid(), filepath.Join(run, "none"), false},
		"of another process":           {stranger, socket, false},
		"does not listen":              {os.Getpid(), filepath.Join(run, "packets"), false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Listens("/proc", tc.pid, tc.path)
			assert.NilError(t, err)
			assert.Equal(t, got, tc.want)
		})
	}

	t.Run("a name without a file", func(t *testing.T) {
		listen(t, "@"+socket)
		got, err := Listens("/proc", os.Getpid(), "@"+socket)
		assert.NilError(t, err)
		assert.Assert(t, got)
		got, err = Listens("/proc", stranger, "@"+socket)
		assert.NilError(t, err)
		assert.Assert(t, !got)
	})
	_, err = Listens(t.TempDir(), 1, socket)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// Another's socket lies where ours did, and still listens by that path.
func TestListensAtTheVeryFile(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "docker.sock")
	first := listen(t, socket)
	assert.NilError(t, os.Remove(socket))
	second := listen(t, socket)
	file, err := second.File()
	assert.NilError(t, err)
	assert.NilError(t, second.Close()) // as systemd, it goes on in a child alone
	child := exec.Command("sleep", "600")
	child.ExtraFiles = []*os.File{file}
	assert.NilError(t, child.Start())
	t.Cleanup(func() { assert.Check(t, child.Process.Kill()); _ = child.Wait() })
	assert.NilError(t, file.Close())
	for pid, want := range map[int]bool{os.Getpid(): false, child.Process.Pid: true} {
		got, err := Listens("/proc", pid, socket)
		assert.NilError(t, err)
		assert.Equal(t, got, want, "pid %d", pid)
	}
	assert.NilError(t, first.Close())
}

func TestListensRefused(t *testing.T) {
	const heading = "Num       RefCount Protocol Flags    Type St Inode Path\n"
	entry := fmt.Sprintf("ffff8880: 00000002 00000000 00010000 0001 01 %5d /run/docker.sock\n", 4321)
	proc := table(t, map[string]string{"12/net/unix": heading + entry, "12/fd": "no directory"})
	_, err := Listens(proc, 12, "/run/docker.sock")
	assert.ErrorContains(t, err, "not a directory")

	proc = table(t, map[string]string{"12/net/unix": heading + entry + entry, "12/fd/7": "-> socket:[4321]"})
	_, err = Listens(proc, 12, "/run/docker.sock")
	assert.ErrorContains(t, err, "2 sockets listen there")

	proc = table(t, map[string]string{"12/net/unix": heading + "ffff8880: 00000002\n"})
	_, err = Listens(proc, 12, "/run/docker.sock")
	assert.ErrorContains(t, err, "has 2 fields")

	proc = table(t, map[string]string{"12/net/unix": heading + entry, "12/fd/7": "-> socket:[4321]"})
	got, err := Listens(proc, 12, "/run/docker.sock")
	assert.NilError(t, err)
	assert.Assert(t, got)
}
