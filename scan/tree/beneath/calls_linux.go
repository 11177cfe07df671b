package beneath

import "golang.org/x/sys/unix"

// Calls says which system calls there are. The zero value uses none but those
// of Linux 3.10; [Probe] tells what the running kernel has.
type Calls struct {
	Openat2 bool // 5.6
	Statx   bool // 4.11
	MountID bool // statx tells the mount id: 5.8
	Handles bool // name_to_handle_at tells the mount id, without /proc
}

// Probe asks the kernel once, with a descriptor of a directory. A call that
// fails for whatever reason counts as missing: what takes its place confines as
// well, and fails by itself if the directory is the reason.
func Probe(dir int) Calls {
	var c Calls
	if fd, err := openat2(dir, ".", unix.O_PATH|unix.O_CLOEXEC, confined); err == nil {
		unix.Close(fd) // nothing was written through it
		c.Openat2 = true
	}
	var x unix.Statx_t
	if statx(dir, &empty[0], unix.AT_EMPTY_PATH, mask, &x) == nil {
		c.Statx = true
		c.MountID = x.Mask&unix.STATX_MNT_ID != 0
	}
	_, err := handleMount(dir)
	c.Handles = err == nil
	return c
}
