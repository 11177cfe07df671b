package prune

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// Lock makes the state directory of a data root if it is missing and locks it
// against other runs (rule 14). The function that it returns lets go; so does
// the end of the process.
func Lock(root string) (unlock func() error, err error) {
	dir := filepath.Join(root, journal.Dir)
	if err := unix.Mkdir(dir, 0o700); err != nil && err != unix.EEXIST {
		return nil, noSpace(readOnly(fmt.Errorf("%s: %w", dir, err)))
	}
	if err := ours(dir); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	path := filepath.Join(root, journal.Lock)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, noSpace(readOnly(fmt.Errorf("%s: %w", path, err)))
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd) // nothing was written through it
		if err == unix.EWOULDBLOCK {
			return nil, ErrBusy
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	// Unlocked by name: a child that is being started shares the descriptor
	// until it runs its own program.
	return func() error { return errors.Join(unix.Flock(fd, unix.LOCK_UN), unix.Close(fd)) }, nil
}

// A readOnlyError is that of a medium that cannot be written to.
type readOnlyError struct{ error }

func (e readOnlyError) Unwrap() error { return e.error }

// Hint says what a person can do.
func (readOnlyError) Hint() string {
	return "ls and inspect work on a medium that cannot be written to; to remove anything, mount it to write. A disk that failed is made read-only by the kernel: look into its log first"
}

// readOnly says what to do about a medium that cannot be written to.
func readOnly(err error) error {
	if errors.Is(err, unix.EROFS) {
		return readOnlyError{err}
	}
	return err
}

// ours checks that a directory is one that nobody else can change: what lies
// in it is renamed into the data root.
func ours(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return errors.New("is not a directory")
	case int(st.Uid) != unix.Geteuid():
		return fmt.Errorf("belongs to user %d, not to the one that runs docker orphans", st.Uid)
	case st.Mode&0o022 != 0:
		return errors.New("can be written by others: chmod 700 it if you trust what is in it")
	}
	return nil
}
