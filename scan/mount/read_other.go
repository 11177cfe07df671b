//go:build !linux

package mount

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/sys/mountinfo"
)

// Read reads the mount tables of Linux.
func Read(context.Context, string, int, func(*View, *mountinfo.Info)) (*Survey, error) {
	return nil, fmt.Errorf("mount tables: %w", errors.ErrUnsupported)
}

// ReadPinned reads mount tables of Linux.
func (*Survey) ReadPinned(context.Context, string, func(*View, *mountinfo.Info)) error {
	return fmt.Errorf("mount tables: %w", errors.ErrUnsupported)
}

// NamespaceAt knows the namespaces of Linux.
func NamespaceAt(string) (string, bool) { return "", false }

// PlacesOf reads a mount table of Linux.
func PlacesOf(string, string) (Places, error) {
	return nil, fmt.Errorf("mount tables: %w", errors.ErrUnsupported)
}

// Table reads a mount table of Linux.
func Table(string) ([]*mountinfo.Info, error) {
	return nil, fmt.Errorf("mount tables: %w", errors.ErrUnsupported)
}
