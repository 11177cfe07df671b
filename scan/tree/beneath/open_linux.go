package beneath

import "golang.org/x/sys/unix"

const (
	confined = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS
	oneMount = confined | unix.RESOLVE_NO_XDEV

	pathFlags = unix.O_PATH | unix.O_CLOEXEC
	dirFlags  = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC
	fileFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
)

// Path opens whatever stands at the name, a symbolic link itself included, to
// describe it and for nothing else (O_PATH). The caller closes it.
func (c Calls) Path(dir int, name string) (int, error) {
	return c.open(dir, name, pathFlags|unix.O_NOFOLLOW)
}

// PathDir is Path for a directory, to start from.
func (c Calls) PathDir(dir int, name string) (int, error) {
	return c.open(dir, name, pathFlags|unix.O_DIRECTORY)
}

// File opens a file for reading. It does not wait for a fifo's writer and does
// not take a terminal; the caller looks at what it got, and closes it.
func (c Calls) File(dir int, name string) (int, error) {
	return quietly(func(quiet int) (int, error) { return c.open(dir, name, fileFlags|quiet) })
}

// Dir opens a directory to list it. The caller closes it.
func (c Calls) Dir(dir int, name string) (int, error) {
	return quietly(func(quiet int) (int, error) { return c.open(dir, name, dirFlags|quiet) })
}

// DirOn opens the directory at a name of one element to list it, and describes
// it, if it is on the mount; else the error is EXDEV. A mount of 0 is not known
// and leaves the question to the kernel. The caller closes it.
func (c Calls) DirOn(dir int, name string, mount uint64, st *Stat) (int, error) {
	fd, err := quietly(func(quiet int) (int, error) { return c.openOn(dir, name, dirFlags|quiet) })
	return c.on(fd, err, mount, st)
}

// PathOn is DirOn for whatever stands at the name, opened as by [Calls.Path].
func (c Calls) PathOn(dir int, name string, mount uint64, st *Stat) (int, error) {
	fd, err := c.openOn(dir, name, pathFlags|unix.O_NOFOLLOW)
	return c.on(fd, err, mount, st)
}

// openOn opens a name of one element and crosses no mount if the kernel can
// see to it.
func (c Calls) openOn(dir int, name string, flags int) (int, error) {
	if c.Openat2 {
		return openat2(dir, name, flags, oneMount)
	}
	return openat(dir, name, flags)
}

// on describes what was opened, and closes it if it is not on the mount.
func (c Calls) on(fd int, err error, mount uint64, st *Stat) (int, error) {
	if err != nil {
		return -1, err
	}
	err = c.Fstat(fd, st)
	if err == nil && mount != 0 && st.Mount != 0 && st.Mount != mount {
		err = unix.EXDEV
	}
	if err != nil {
		unix.Close(fd) // nothing was written through it
		return -1, err
	}
	return fd, nil
}

// Parent opens the directory above an open one, by its "..", and describes it.
// It may be anywhere: the caller compares it with one that was opened before,
// and closes it.
func (c Calls) Parent(dir int, st *Stat) (int, error) {
	fd, err := openat(dir, "..", pathFlags|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	if err := c.Fstat(fd, st); err != nil {
		unix.Close(fd) // nothing was written through it
		return -1, err
	}
	return fd, nil
}

func (c Calls) open(dir int, name string, flags int) (int, error) {
	if err := Check(name); err != nil {
		return -1, err
	}
	if c.Openat2 {
		return openat2(dir, name, flags, confined)
	}
	return walk(dir, name, flags)
}

// quietly opens without a change of the access time where the kernel allows
// it: to the owner and to CAP_FOWNER. Reading is not a use worth recording.
func quietly(open func(quiet int) (int, error)) (int, error) {
	fd, err := open(unix.O_NOATIME)
	if err == unix.EPERM {
		return open(0)
	}
	return fd, err
}

func openat2(dir int, name string, flags int, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags), Resolve: resolve}
	for {
		fd, err := unix.Openat2(dir, name, &how)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
