//go:build !linux

package source

import (
	"errors"

	"github.com/docker-orphans/docker-orphans/scan"
)

// openFiles needs /proc as Linux has it.
func openFiles(string, []string) (map[string][]scan.FileKey, error) {
	return nil, errors.ErrUnsupported
}
