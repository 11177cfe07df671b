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

// checkQuota returns ErrQuota if the directory at a name has a project id of its
// own: not the one that it has from the directory that it lies in, or goes back
// to, which is what an administrator gave to all of it. The daemon passes over
// that, too (moby quota, findNextProjectID). File systems without such ids do not
// know the question.
func checkQuota(calls beneath.Calls, dir int, name string, to int) error {
	project, err := projectOf(calls, dir, name)
	if err == unix.ENOTDIR || err == unix.ELOOP {
		return nil // a file or a link: it is counted with the directory that it is in
	}
	if project == 0 || err != nil {
		return err
	}
	for _, in := range []int{dir, to} {
		if given, err := projectOf(calls, in, "."); err != nil || given == project {
			return err
		}
	}
	return ErrQuota
}

func projectOf(calls beneath.Calls, dir int, name string) (uint32, error) {
	fd, err := calls.Dir(dir, name)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd) // nothing was written through it
	return linked.Project(fd), nil
}
