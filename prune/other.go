//go:build !linux

package prune

import "errors"

// ErrBusy is the error of a data root in which another run is going on.
var ErrBusy = errors.New("a prune operation is already running")

var errNotLinux = errors.New("docker orphans removes only on the daemon's own Linux host")

// Lock is there only on Linux.
func Lock(string) (func() error, error) { return nil, errNotLinux }

// OpenDisk is there only on Linux.
func OpenDisk(string) (Disk, func() error, error) { return nil, nil, errNotLinux }
