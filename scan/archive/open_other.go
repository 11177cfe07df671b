//go:build !linux

package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// A source is a directory below the data root. There is none on this system.
type source struct{}

type owners struct{}

func ownersOf(string) (owners, error) { return owners{}, nil }

// An attribute is what an extended attribute is to us.
type attribute uint8

func openSource(_, name string) (*source, error) {
	return nil, fmt.Errorf("%s: %w", name, errors.New("a data root can be read on the daemon's Linux host only"))
}

func (*source) close() {}

func (*source) file(string) (fd int, size int64, err error) { return -1, 0, errors.ErrUnsupported }

// A reader reads an open file. There is none on this system.
type reader struct{ io.Reader }

func newReader(context.Context, int, int64) *reader { return nil }

func (*reader) close() {}

func overlayOwn(string) (attribute, error) { return 0, errors.ErrUnsupported }

func fuseOwn(string) (attribute, error) { return 0, errors.ErrUnsupported }

func (w *Written) archive(context.Context, io.Writer) ([]string, error) {
	return nil, fmt.Errorf("%s: %w", w.name, errors.ErrUnsupported)
}
