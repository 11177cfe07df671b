//go:build !linux

package tool

import (
	"errors"
	"io/fs"
)

func trusted(fs.FileInfo) error { return errors.New("programs are run on Linux only") }
