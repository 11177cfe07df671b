package hold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan/process"
)

// sign puts our number into the daemon's pid file. A daemon reads it first of
// all, and does not start while it names a process that runs, whoever that is
// (moby pkg/pidfile, in every version).
func (h *Hold) sign(name string) error {
	file := h.machine.path(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // as the daemon makes it
		return err
	}
	err := write(file)
	if errors.Is(err, fs.ErrExist) {
		if err := h.stale(file); err != nil {
			return err
		}
		err = write(file)
	}
	if err != nil {
		return err
	}
	h.closers = append(h.closers, func() error {
		if pid, err := read(file); err != nil || pid != os.Getpid() {
			return nil // it is not ours any more
		}
		return os.Remove(file)
	})
	return nil
}

// write makes a pid file of ours where there is none. It is never seen
// half-written: a daemon takes no notice of one that names nobody.
func write(file string) error {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".")
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(os.Getpid()))
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Link(f.Name(), file)
	}
	return errors.Join(err, os.Remove(f.Name()))
}

// read returns the process that a pid file names; 0 for none.
func read(file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 1 {
		return 0, nil // a daemon takes no notice of it, either
	}
	return pid, nil
}

// stale removes a pid file that names no process that runs, as a daemon does
// that ended without removing it.
func (h *Hold) stale(file string) error {
	pid, err := read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its daemon has ended just now
	}
	if err != nil {
		return err
	}
	if pid > 0 {
		if _, err := os.Stat(filepath.Join(h.machine.Proc, strconv.Itoa(pid))); err == nil {
			return &Error{
				text: fmt.Sprintf("%s: names %s (pid %d), which runs", file, process.Name(h.machine.Proc, pid), pid),
				hint: "stop that daemon; if it is none, remove the file: it keeps Docker from starting, too",
			}
		}
	}
	err = os.Remove(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
