//go:build !linux

package unlink

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

var errNotLinux = errors.New("trees can be removed on the daemon's Linux host only")

// A Crew removes nothing on this system.
type Crew struct{}

// New returns one.
func New(int) *Crew { return &Crew{} }

// Remove fails.
func (c *Crew) Remove(_ context.Context, _ *os.File, name string, _ Options) (Report, error) {
	return Report{}, fmt.Errorf("%s: %w", beneath.Shown(name), errNotLinux)
}
