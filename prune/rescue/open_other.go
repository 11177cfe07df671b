//go:build !linux

package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// A source is a directory below the data root. There is none on this system.
type source struct{}

func openContent(_ context.Context, _, name string, _ form) (*content, error) {
	return nil, fmt.Errorf("%s: %w", name, errors.New("a data root can be read on the daemon's Linux host only"))
}

func (*source) close() {}

func (c *content) archive(context.Context, io.Writer) ([]string, error) {
	return nil, fmt.Errorf("%s: %w", c.name, errors.ErrUnsupported)
}
