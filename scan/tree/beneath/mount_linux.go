package beneath

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// mountOf is the mount id of an open file where statx does not tell it; 0 if
// nothing does.
func (c Calls) mountOf(fd int) uint64 {
	if c.Handles {
		if id, err := handleMount(fd); err == nil {
			return id
		}
	}
	return fdinfoMount(fd)
}

// handleMount asks name_to_handle_at. Many file systems, overlay first of
// all, have no handles and so do not answer.
func handleMount(fd int) (uint64, error) {
	_, id, err := unix.NameToHandleAt(fd, "", unix.AT_EMPTY_PATH)
	return uint64(id), err
}

// fdinfoMount reads the mnt_id line of fdinfo, which is there since 3.15.
func fdinfoMount(fd int) uint64 {
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return 0 // no /proc: not known
	}
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte("mnt_id:")); ok {
			id, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 64)
			if err != nil {
				return 0 // not a form that we know
			}
			return id
		}
	}
	return 0
}
