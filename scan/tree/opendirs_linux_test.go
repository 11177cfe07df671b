package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A large directory that was listed stays open, and everything in it reads as
// it does by its whole name.
func TestLargeDirectoriesStayOpen(t *testing.T) {
	root := t.TempDir()
	for i := range large {
		assert.NilError(t, os.MkdirAll(filepath.Join(root, "big", fmt.Sprint(i)), 0o700))
	}
	assert.NilError(t, os.WriteFile(filepath.Join(root, "big/1/file"), []byte("one"), 0o600))
	assert.NilError(t, os.Symlink("../target", filepath.Join(root, "big/link")))
	assert.NilError(t, os.Symlink("1", filepath.Join(root, "big/dirlink")))
	d, err := Open(root)
	assert.NilError(t, err)
	defer d.Close()

	look := func() (all []any) {
		for _, name := range []string{"big/1", "big/link", "big/none", "big/1/file", "big/dirlink/file", "big", "big/..", "big/1/.."} {
			info, err := d.Stat(name)
			target, linkErr := d.ReadLink(name)
			content, readErr := d.ReadFile(name, 100)
			all = append(all, info, target, string(content), fmt.Sprint(err, linkErr, readErr),
				errors.Is(err, fs.ErrNotExist), errors.Is(readErr, scan.ErrSymlink))
		}
		return all
	}
	before := look()
	entries, err := d.ReadDir("big")
	assert.NilError(t, err)
	assert.Equal(t, len(entries), large+2)
	assert.Equal(t, len(d.dirs.open), 1)
	assert.DeepEqual(t, look(), before)

	// The next listing is of what stands there then.
	assert.NilError(t, os.Rename(filepath.Join(root, "big"), filepath.Join(root, "old")))
	assert.NilError(t, os.MkdirAll(filepath.Join(root, "big/fresh"), 0o700))
	_, err = d.Stat("big/fresh")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = d.ReadDir("big")
	assert.NilError(t, err)
	assert.Equal(t, len(d.dirs.open), 0)
	_, err = d.Stat("big/fresh")
	assert.NilError(t, err)
}

// Listing again while others read closes nothing under them.
func TestListingWhileReading(t *testing.T) {
	root := t.TempDir()
	for i := range large {
		assert.NilError(t, os.WriteFile(filepath.Join(root, fmt.Sprint(i)), []byte("x"), 0o600))
	}
	assert.NilError(t, os.Mkdir(filepath.Join(root, "d"), 0o700))
	assert.NilError(t, os.Rename(root, root+".tmp"))
	assert.NilError(t, os.Mkdir(root, 0o700))
	assert.NilError(t, os.Rename(root+".tmp", filepath.Join(root, "big")))
	d, err := Open(root)
	assert.NilError(t, err)
	defer d.Close()
	var group sync.WaitGroup
	for range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range 500 {
				if _, err := d.Stat("big/" + fmt.Sprint(i%large)); err != nil {
					t.Error(err)
				}
				if i%50 == 0 {
					if _, err := d.ReadDir("big"); err != nil {
						t.Error(err)
					}
				}
			}
		}()
	}
	group.Wait()
}
