package process

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/oldkernel"
)

func TestOnAnOldKernel(t *testing.T) {
	oldkernel.Run(t, "^(TestWithoutStatx|TestFiles|TestFilesOfThreads|TestOwner|TestOwnerParentAndChild|TestOwnerOnBtrfs|TestListens|TestFind)$")
}

// What an old kernel tells is the same but for the birth, which it does not
// know.
func TestWithoutStatx(t *testing.T) {
	dir := t.TempDir()
	assert.NilError(t, os.Symlink("x", dir+"/link"))
	for _, name := range []string{dir, dir + "/link", os.Args[0], "/dev/null", "/proc/self/exe"} {
		want, err := stat(unix.AT_FDCWD, name, unix.AT_SYMLINK_NOFOLLOW)
		assert.NilError(t, err)
		got, err := oldStat(unix.AT_FDCWD, name, unix.AT_SYMLINK_NOFOLLOW)
		assert.NilError(t, err)
		want.Stamp.Birth = got.Stamp.Birth
		assert.DeepEqual(t, got, want)
		assert.Assert(t, got.Stamp.Birth.IsZero())
	}
	_, err := stat(unix.AT_FDCWD, dir+"/none", 0)
	assert.ErrorIs(t, err, os.ErrNotExist)
}
