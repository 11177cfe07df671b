//go:build !linux

package process

import (
	"errors"
	"fmt"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// There is no process table like that of Linux elsewhere, and no data root
// whose daemon it could list.
var errTable = fmt.Errorf("process table: %w", errors.ErrUnsupported)

// A Reader reads what processes have open, on Linux.
type Reader struct {
	Proc         string
	Remote       func(thread, path string) bool
	RemoteMounts map[int]bool
}

// NewReader returns a reader that reads nothing.
func NewReader(proc string) *Reader { return &Reader{Proc: proc} }

// Files reads a process's files on Linux.
func (r *Reader) Files(int, func(*File)) error { return errTable }

// Describe describes a file on Linux.
func Describe(string) (scan.Info, error) { return scan.Info{}, errTable }

// Lookup identifies a file on Linux.
func Lookup(string, string) (scan.FileKey, error) { return scan.FileKey{}, errTable }

// FileSystem asks about a file on Linux.
func FileSystem(string) (Magic, error) { return 0, errTable }

// Owner finds the daemon on Linux.
func Owner(string, string, ...string) (*scan.Process, error) { return nil, errTable }

// Listens asks about a socket on Linux.
func Listens(string, int, string) (bool, error) { return false, errTable }

// A Holder is a process that has a file open, on Linux.
type Holder struct {
	PID     int
	Path    string
	Removed bool
	Key     scan.FileKey
}

// Holders reads what processes have open on Linux.
func Holders(string, string) ([]Holder, error) { return nil, errTable }

// Connected asks about sockets on Linux.
func Connected(string, int, []int) ([]int, error) { return nil, errTable }

// Suspended asks the clocks of Linux.
func Suspended() (time.Duration, error) { return 0, errTable }
