package hold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// databases are those that a daemon keeps locked as long as it runs (moby
// volume/service, libnetwork, builder, swarmkit).
var databases = []string{"volumes/metadata.db", "buildkit/*.db", "builder/*.db", "network/files/local-kv.db", "swarm/worker/tasks.db"}

// lock locks the daemon's databases in a data root, as far as it has them, the
// way the daemon does (flock). They are opened to read and nothing is read.
func (h *Hold) lock(root string) error {
	for _, pattern := range databases {
		files, err := fs.Glob(os.DirFS(root), pattern) // the root's own path is no pattern
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := h.lockFile(filepath.Join(root, file)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *Hold) lockFile(file string) error {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd) // nothing was written through it
		if err == unix.EWOULDBLOCK {
			return &Error{
				text: file + ": a process that cannot be seen has it locked",
				hint: "a daemon uses the data root, in a container or on another machine: stop it",
			}
		}
		return fmt.Errorf("%s: %w", file, err)
	}
	// Unlocked by name: a child that is being started shares the descriptor
	// until it runs its own program.
	h.closers = append(h.closers, func() error { return errors.Join(unix.Flock(fd, unix.LOCK_UN), unix.Close(fd)) })
	return nil
}
