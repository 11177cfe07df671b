//go:build !linux

package prune

import "errors"

var errNotLinux = errors.New("docker orphans removes only on the daemon's own Linux host")

// Lock is there only on Linux.
func Lock(string) (func() error, error) { return nil, errNotLinux }

// OpenDisk is there only on Linux.
func OpenDisk(string, string) (Disk, func() error, error) { return nil, nil, errNotLinux }

// PoolOf is there only on Linux.
func PoolOf(string) Pool { return nil }

func fileSystem(string) (string, error) { return "", errNotLinux }
