//go:build !linux

package hold

import "errors"

var errNotLinux = errors.New("docker orphans removes only on the daemon's own Linux host")

func (*Hold) lock(string) error { return errNotLinux }

func (*Hold) sign(string) error { return errNotLinux }
