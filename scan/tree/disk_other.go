//go:build !linux

package tree

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker-orphans/docker-orphans/scan"
)

var _ scan.Tree = (*Disk)(nil)

var errNotLinux = errors.New("a data root can be read on the daemon's Linux host only")

// A Disk is a data root. There is none on this system.
type Disk struct{}

// Open fails: a data root is a directory of the Linux host that the daemon runs
// on.
func Open(dir string) (*Disk, error) { return nil, fmt.Errorf("%s: %w", dir, errNotLinux) }

// Path returns "": no Disk was ever opened.
func (d *Disk) Path() string { return "" }

// Close fails.
func (d *Disk) Close() error { return errNotLinux }

// ReadDir fails.
func (d *Disk) ReadDir(string) ([]scan.Entry, error) { return nil, errNotLinux }

// ReadFile fails.
func (d *Disk) ReadFile(string, int64) ([]byte, error) { return nil, errNotLinux }

// ReadLink fails.
func (d *Disk) ReadLink(string) (string, error) { return "", errNotLinux }

// Stat fails.
func (d *Disk) Stat(string) (scan.Info, error) { return scan.Info{}, errNotLinux }

// Open fails.
func (d *Disk) Open(string) (scan.ReaderAt, error) { return nil, errNotLinux }

// Walk fails.
func (d *Disk) Walk(context.Context, scan.Watch, ...string) (scan.Usage, error) {
	return scan.Usage{}, errNotLinux
}
