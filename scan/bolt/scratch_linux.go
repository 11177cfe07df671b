package bolt

import (
	"os"

	"golang.org/x/sys/unix"
)

// scratchFile returns a file that has no name and goes when it is closed. It
// is in memory: the disk may be full, and nothing must be written to it.
// Kernels before 3.17 have no such files; there it is on the tmpfs that Linux
// hosts have, or wherever temporary files go.
func scratchFile() (*os.File, error) {
	if fd, err := unix.MemfdCreate("bolt", unix.MFD_CLOEXEC); err == nil {
		return os.NewFile(uintptr(fd), "bolt copy"), nil
	}
	if f, err := unnamedFile("/dev/shm"); err == nil {
		return f, nil
	}
	return unnamedFile(os.TempDir())
}
