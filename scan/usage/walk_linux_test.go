package usage

import (
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// modes are the kernels that a walk must work on.
var modes = []struct {
	name  string
	calls beneath.Calls
}{
	{"5.8", beneath.Calls{Openat2: true, Statx: true, MountID: true, Handles: true}},
	{"5.6", beneath.Calls{Openat2: true, Statx: true, Handles: true}},
	{"4.11", beneath.Calls{Statx: true, Handles: true}},
	{"3.10", beneath.Calls{Handles: true}},
	{"3.10 without handles", beneath.Calls{}},
}

// open returns a walker and a descriptor of the directory.
func open(t testing.TB, dir string, calls beneath.Calls, workers int) (*Walker, int) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, unix.Close(fd)) })
	return New(calls, workers), fd
}
