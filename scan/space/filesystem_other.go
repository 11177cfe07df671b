//go:build !linux

package space

import "errors"

// FileSystemOf describes a file system on Linux only.
func FileSystemOf(string) (FileSystem, error) {
	return FileSystem{}, errors.New("file systems are described on Linux only")
}
