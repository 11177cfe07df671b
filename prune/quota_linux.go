package prune

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/prune/linked"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// ErrQuota is the error of a directory that a disk quota counts by project
// id (overlay2.size). The daemon gives out the numbers from the highest that it
// finds below its driver's directory when it starts: moved out of sight, a
// number would be given again, with the space used up that waits here.
var ErrQuota = errors.New("has a disk quota of its own, which would be given to another container while it waits to be restored")

// checkQuota returns ErrQuota if the directory at a name has a project id.
// File systems without such ids do not know the question.
func checkQuota(calls beneath.Calls, dir int, name string) error {
	fd, err := calls.Dir(dir, name)
	if err == unix.ENOTDIR || err == unix.ELOOP {
		return nil // a file or a link: it is counted with the directory that it is in
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd) // nothing was written through it
	if linked.Project(fd) != 0 {
		return ErrQuota
	}
	return nil
}
