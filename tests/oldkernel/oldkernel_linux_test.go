package oldkernel

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

func TestCallsAreMissing(t *testing.T) {
	Run(t, "^TestCalls$")
}

// The calls are there, and are not where a test is run as on an old kernel.
func TestCalls(t *testing.T) {
	old := os.Getenv(variable) != ""
	var x unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, "/", 0, unix.STATX_BASIC_STATS, &x)
	assert.Equal(t, errors.Is(err, unix.ENOSYS), old, "statx: %v", err)
	_, err = unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC})
	assert.Equal(t, errors.Is(err, unix.ENOSYS), old, "openat2: %v", err)
	_, err = unix.MemfdCreate("x", unix.MFD_CLOEXEC)
	assert.Equal(t, errors.Is(err, unix.ENOSYS), old, "memfd_create: %v", err)
	_, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	assert.Equal(t, errors.Is(err, unix.EPROTONOSUPPORT), old, "socket: %v", err)
	_, err = os.Stat("/")
	assert.NilError(t, err)
}
