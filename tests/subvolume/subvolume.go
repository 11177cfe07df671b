// Package subvolume gives tests a btrfs of their own, and subvolumes on it.
package subvolume

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Mount returns the path of a new btrfs, which goes when the test ends. It
// takes root.
func Mount(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounts a btrfs: needs root")
	}
	image := filepath.Join(t.TempDir(), "image")
	run(t, "truncate", "-s", "256M", image)
	run(t, "mkfs.btrfs", "-q", image)
	return Image(t, image)
}

// Image mounts a btrfs that is in a file until the test ends.
func Image(t testing.TB, image string) string {
	t.Helper()
	root := t.TempDir()
	run(t, "mount", "-o", "loop", image, root)
	t.Cleanup(func() { Unmount(t, root) })
	return root
}

// Unmount unmounts what a process that was only just started beside may still
// have open: it has all files of its parent until it is another program.
func Unmount(t testing.TB, path string) {
	t.Helper()
	var out []byte
	var err error
	for range 50 {
		if out, err = exec.Command("umount", path).CombinedOutput(); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("umount %s: %v: %s", path, err, out)
}

// Create makes a subvolume.
func Create(t testing.TB, path string) string {
	t.Helper()
	run(t, "btrfs", "subvolume", "create", path)
	return path
}

// Snapshot makes a subvolume that begins as a copy of another.
func Snapshot(t testing.TB, of, path string) string {
	t.Helper()
	run(t, "btrfs", "subvolume", "snapshot", of, path)
	return path
}

// Delete removes a subvolume.
func Delete(t testing.TB, path string) {
	t.Helper()
	run(t, "btrfs", "subvolume", "delete", path)
}

// List returns what there is of subvolumes, one a line of the btrfs command.
func List(t testing.TB, root string) []string {
	t.Helper()
	out, err := exec.Command("btrfs", "subvolume", "list", root).CombinedOutput()
	if err != nil {
		t.Fatalf("list subvolumes: %v: %s", err, out)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

// ReadOnly makes a subvolume read-only until the test ends.
func ReadOnly(t testing.TB, path string) {
	t.Helper()
	run(t, "btrfs", "property", "set", "-ts", path, "ro", "true")
	t.Cleanup(func() {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			run(t, "btrfs", "property", "set", "-ts", path, "ro", "false")
		}
	})
}

// Quota has the file system count what is in each subvolume, and waits until it
// has.
func Quota(t testing.TB, root string) {
	t.Helper()
	run(t, "btrfs", "quota", "enable", root)
	run(t, "btrfs", "quota", "rescan", "-w", root)
}

// Sync has everything written, and counted.
func Sync(t testing.TB, root string) {
	t.Helper()
	run(t, "sync", "-f", root)
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}
