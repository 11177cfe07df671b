package scan_test

import (
	"testing"

	"github.com/docker-orphans/docker-orphans/tests/oldkernel"
)

// Where the kernel tells no births and follows no path by itself, the verdicts
// are the same.
func TestOnAnOldKernel(t *testing.T) {
	oldkernel.Run(t, "^(TestRoots|TestRealRoots|TestOldRoots)$")
}
