package usage

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// TestTelling proves that the first five are told, whatever the order of the
// walk, and that they cannot upset a terminal.
func TestTelling(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{
		"z/ibdata1", "y/.git/config", "x/id_rsa", "w/dump.rdb", "\x1b[2J/a.sqlite", "v/plain", "u/a/PG_VERSION", "t/a.p12",
	} {
		write(t, filepath.Join(root, "overlay2/abc/diff", name), 1)
		write(t, filepath.Join(root, "overlay2/abc/diff/usr/lib", name), 1)
	}
	assert.NilError(t, os.Symlink("nowhere", filepath.Join(root, "overlay2/abc/diff/wallet")))
	want := []string{
		`"overlay2/abc/diff/\x1b[2J/a.sqlite"`,
		"overlay2/abc/diff/t/a.p12",
		"overlay2/abc/diff/u/a/PG_VERSION",
		"overlay2/abc/diff/w/dump.rdb",
		"overlay2/abc/diff/wallet",
	}
	everyWay(t, root, func(t *testing.T, walk func(...string) scan.Usage) {
		assert.DeepEqual(t, walk("overlay2/abc").Telling, want)
	})
}
