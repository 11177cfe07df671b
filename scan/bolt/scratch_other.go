//go:build !linux

package bolt

import "os"

// scratchFile returns a file that goes when it is closed.
func scratchFile() (*os.File, error) { return unnamedFile(os.TempDir()) }
