package tree

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// listed is what the standard library says of a directory.
func listed(t testing.TB, dir string) []scan.Entry {
	t.Helper()
	entries, err := os.ReadDir(dir)
	assert.NilError(t, err)
	var want []scan.Entry
	for _, e := range entries {
		info, err := e.Info()
		assert.NilError(t, err)
		want = append(want, scan.Entry{Name: e.Name(), Type: info.Mode().Type()})
	}
	return want
}

func TestReadDir(t *testing.T) {
	root := makeFiles(t)
	assert.NilError(t, os.Mkdir(filepath.Join(root, "void"), 0o755))
	everyMode(t, root, func(t *testing.T, d *Disk) {
		for _, name := range []string{".", "dir", "dir/sub", "void"} {
			got, err := d.ReadDir(name)
			assert.NilError(t, err)
			assert.DeepEqual(t, got, listed(t, filepath.Join(root, name)))
		}
		for _, r := range []struct {
			name string
			is   error
			says string
		}{
			{"none", fs.ErrNotExist, "none: no such file or directory"},
			{"file", unix.ENOTDIR, "file: not a directory"},
			{"fifo", unix.ENOTDIR, "fifo: not a directory"},
			{"link-file", scan.ErrSymlink, "link-file: is a symbolic link"},
			{"link-dir", scan.ErrSymlink, "link-dir: is a symbolic link"},
			{"link-dir/sub", scan.ErrSymlink, "link-dir/sub: is a symbolic link"},
			{"link-out", scan.ErrSymlink, "link-out: is a symbolic link"},
			{"link-proc/etc", scan.ErrSymlink, "link-proc/etc: is a symbolic link"},
			{"dangling", scan.ErrSymlink, "dangling: is a symbolic link"},
			{"..", beneath.ErrName, "..: not a name below the root"},
			{"dir/../..", beneath.ErrName, "dir/../..: not a name below the root"},
			{"/etc", beneath.ErrName, "/etc: not a name below the root"},
		} {
			_, err := d.ReadDir(r.name)
			assert.ErrorIs(t, err, r.is)
			assert.Error(t, err, r.says)
		}
	})
}

// TestReadDirLong lists a directory that takes the kernel many calls.
func TestReadDirLong(t *testing.T) {
	root := t.TempDir()
	var want []string
	for i := range 5000 {
		name := fmt.Sprintf("%064d-entry", i*7919%5000)
		assert.NilError(t, os.Mkdir(filepath.Join(root, name), 0o755))
		want = append(want, name)
	}
	slices.Sort(want)
	d := opened(t, root, modes[0].calls)
	entries, err := d.ReadDir(".")
	assert.NilError(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name)
		assert.Equal(t, e.Type, fs.ModeDir)
	}
	assert.DeepEqual(t, got, want)
}

// TestReadDirUntyped lists a file system whose directories do not tell types.
func TestReadDirUntyped(t *testing.T) {
	root := untyped(t)
	for _, make := range []func(string) error{
		func(name string) error { return os.Mkdir(name+"dir", 0o755) },
		func(name string) error { return os.WriteFile(name+"file", nil, 0o644) },
		func(name string) error { return os.Symlink("/etc", name+"link") },
		func(name string) error { return unix.Mkfifo(name+"fifo", 0o644) },
	} {
		assert.NilError(t, make(root+"/"))
	}
	everyMode(t, root, func(t *testing.T, d *Disk) {
		got, err := d.ReadDir(".")
		assert.NilError(t, err)
		assert.DeepEqual(t, got, listed(t, root))
	})
}

// untyped mounts an ext4 without the filetype feature.
func untyped(t testing.TB) string {
	t.Helper()
	needRoot(t)
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("no mkfs.ext4")
	}
	image := filepath.Join(t.TempDir(), "image")
	run(t, "truncate", "-s", "16M", image)
	run(t, "mkfs.ext4", "-q", "-O", "^filetype", image)
	root := t.TempDir()
	run(t, "mount", "-o", "loop", image, root)
	t.Cleanup(func() { run(t, "umount", root) })
	return root
}

// TestReadDirCorrupt lists a directory whose block the disk lost: an error, not
// an empty directory.
func TestReadDirCorrupt(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("debugfs"); err != nil {
		t.Skip("no debugfs")
	}
	content := t.TempDir()
	assert.NilError(t, os.MkdirAll(filepath.Join(content, "broken", "dir"), 0o755))
	image := filepath.Join(t.TempDir(), "image")
	run(t, "truncate", "-s", "16M", image)
	// Filled without a mount: what was mounted once may be so still, in a mount
	// namespace that another process made meanwhile, with the good block cached.
	run(t, "mkfs.ext4", "-q", "-b", "1024", "-d", content, image)
	block, err := exec.Command("debugfs", "-R", "blocks /broken", image).Output()
	assert.NilError(t, err)
	run(t, "dd", "if=/dev/zero", "of="+image, "bs=1024", "count=1", "conv=notrunc", "seek="+strings.TrimSpace(string(block)))
	root := t.TempDir()
	run(t, "mount", "-o", "loop", image, root)
	t.Cleanup(func() { run(t, "umount", root) })
	everyMode(t, root, func(t *testing.T, d *Disk) {
		_, err := d.ReadDir("broken")
		assert.Error(t, err, "broken: bad message")
	})
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	assert.NilError(t, err, "%s", out)
}
