package beneath

import (
	"strings"

	"golang.org/x/sys/unix"
)

// walk opens a name that [Check] took, element by element. Each directory on
// the way is held by a descriptor, so that a swap of a name changes nothing
// for what lies below.
func walk(dir int, name string, flags int) (int, error) {
	at := dir
	for {
		element, rest, more := strings.Cut(name, "/")
		step := flags
		if more {
			step = pathFlags | unix.O_DIRECTORY
		}
		fd, err := openat(at, element, step)
		if at != dir {
			unix.Close(at) // nothing was written through it
		}
		if err != nil || !more {
			return fd, err
		}
		at, name = fd, rest
	}
}

// openat opens one element. The kernel answers ENOTDIR for a symbolic link
// that O_DIRECTORY and O_NOFOLLOW reject together; openat2 says ELOOP, and so
// does this.
func openat(dir int, element string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, element, flags|unix.O_NOFOLLOW, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ENOTDIR && isLink(dir, element):
			return -1, unix.ELOOP
		}
		return fd, err
	}
}

func isLink(dir int, element string) bool {
	var st unix.Stat_t
	err := unix.Fstatat(dir, element, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
}
