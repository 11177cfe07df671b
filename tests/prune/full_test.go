//go:build linux

package prune_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// mounted returns a directory on a small file system of its own.
func mounted(t *testing.T, size int64, mkfs ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("mounts a file system, which needs root")
	}
	image := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(image)
	assert.NilError(t, err)
	assert.NilError(t, f.Truncate(size))
	assert.NilError(t, f.Close())
	run(t, append(mkfs, image)...)
	dir := t.TempDir()
	run(t, "mount", "-o", "loop", image, dir)
	t.Cleanup(func() { run(t, "umount", dir) })
	return dir
}

func run(t testing.TB, command ...string) {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	assert.NilError(t, err, "%s: %s", strings.Join(command, " "), out)
}

// fill writes until not a byte is free any more, and returns what it wrote to.
func fill(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	for size := 1 << 20; size > 0; size /= 2 {
		for {
			name := filepath.Join(dir, fmt.Sprintf("fill-%d", len(files)))
			err := os.WriteFile(name, make([]byte, size), 0o600)
			if errors.Is(err, syscall.ENOSPC) {
				if os.Remove(name) != nil {
					return files
				}
				break
			}
			assert.NilError(t, err)
			files = append(files, name)
			if size < 1<<10 && len(files) > 4000 {
				break
			}
		}
	}
	unix.Sync()
	return files
}

var fileSystems = map[string][]string{
	"ext4":  {"mkfs.ext4", "-q", "-m", "0", "-N", "8192"},
	"btrfs": {"mkfs.btrfs", "-q", "--mixed"},
	"xfs":   {"mkfs.xfs", "-q"},
}

// On a disk without a free byte a run frees what it is allowed to: the
// journal takes the space that an earlier run put by.
func TestFullDisk(t *testing.T) {
	for name, mkfs := range fileSystems {
		t.Run(name, func(t *testing.T) {
			dir := mounted(t, 320<<20, mkfs...)
			w := worldIn(t, filepath.Join(dir, "root"), "overlay2", leaky)
			assert.NilError(t, os.WriteFile(filepath.Join(w.Dir, "overlay2", w.id("{layer over}"), "diff/big"), make([]byte, 8<<20), 0o600))
			w.restart()
			before := w.manifest()

			// An earlier run, of one thing.
			w.execute(prune.Options{Take: takeOnly("GetImageBlob77")})
			filled := fill(t, dir)
			plan, owner := w.plan(prune.Options{})
			result, err := w.runner(w.disk()).Execute(t.Context(), plan, owner)
			assert.NilError(t, err)
			assert.Assert(t, !result.Partly(), "%v", result.Outcomes)
			for _, f := range filled {
				assert.NilError(t, os.Remove(f))
			}
			want := without(before, append(moved(plan, journal.Free, journal.Quarantine), "tmp/GetImageBlob77")...)
			assert.DeepEqual(t, w.manifest(), want)
		})
	}
}

// The first run on a full disk, without any space put by, either works or says
// what to do, and touches nothing.
func TestFullDiskFirstRun(t *testing.T) {
	for name, mkfs := range fileSystems {
		t.Run(name, func(t *testing.T) {
			dir := mounted(t, 320<<20, mkfs...)
			w := worldIn(t, filepath.Join(dir, "root"), "overlay2", leaky)
			before := w.manifest()
			filled := fill(t, dir)
			plan, owner := w.plan(prune.Options{})
			err := func() error {
				unlock, err := prune.Lock(w.Dir)
				if err != nil {
					return err
				}
				defer func() { _ = unlock() }()
				disk, done, err := prune.OpenDisk(w.Dir, w.proc())
				if err != nil {
					return err
				}
				defer func() { _ = done() }()
				_, err = w.runner(disk).Execute(t.Context(), plan, owner)
				return err
			}()
			for _, f := range filled {
				assert.NilError(t, os.Remove(f))
			}
			if err == nil {
				t.Logf("%s: there was space enough", name)
				return
			}
			var hint interface{ Hint() string }
			assert.Assert(t, errors.As(err, &hint) && strings.Contains(hint.Hint(), "nothing was touched"), "%v", err)
			assert.DeepEqual(t, w.manifest(), before)
		})
	}
}

// What a disk quota counts is left where it is.
func TestQuota(t *testing.T) {
	dir := mounted(t, 320<<20, "mkfs.xfs", "-q")
	w := worldIn(t, filepath.Join(dir, "root"), "overlay2", stray)
	run(t, "xfs_io", "-c", "chproj 7", filepath.Join(w.Dir, "overlay2", w.id("{layer over}")))
	w.restart()
	result := w.execute(prune.Options{})
	assert.DeepEqual(t, w.ends(result), map[string]journal.End{"layer {layer over}": journal.Skipped, "layer {layer stray}": journal.Skipped})
	assert.Assert(t, strings.Contains(result.Outcomes[0].Reason, "quota"), "%v", result.Outcomes)
}

// A project id that an administrator gave to the whole data root is no quota of
// a layer's or a volume's own.
func TestQuotaOfAll(t *testing.T) {
	for name, script := range map[string]string{"layers": leaky, "volumes": leakyVolumes} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(mounted(t, 320<<20, "mkfs.xfs", "-q"), "root")
			assert.NilError(t, os.Mkdir(root, 0o755))
			run(t, "xfs_io", "-c", "chproj 7", "-c", "chattr +P", root)
			w := worldIn(t, root, "overlay2", script)
			w.restart()
			before := w.manifest()
			plan, owner := w.plan(prune.Options{})
			r := w.runner(w.disk())
			result, err := r.Execute(t.Context(), plan, owner)
			assert.NilError(t, err)
			assert.Assert(t, !result.Partly(), "%v", result.Outcomes)
			held, err := r.Held()
			assert.NilError(t, err)
			_, err = r.Restore(t.Context(), held)
			assert.NilError(t, err)
			assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Free)...))
		})
	}

	// One of its own is, all the same.
	root := filepath.Join(mounted(t, 320<<20, "mkfs.xfs", "-q"), "root")
	assert.NilError(t, os.Mkdir(root, 0o755))
	run(t, "xfs_io", "-c", "chproj 7", "-c", "chattr +P", root)
	w := worldIn(t, root, "overlay2", leakyVolumes)
	run(t, "xfs_io", "-c", "chproj -R 8", filepath.Join(w.Dir, "volumes", w.anonymous(), "_data"))
	run(t, "xfs_io", "-c", "chproj -R 8", filepath.Join(w.Dir, "volumes/unlisted"))
	w.restart()
	before := w.manifest()
	for _, o := range w.execute(prune.Options{}).Outcomes {
		assert.Equal(t, o.End, journal.Skipped)
		assert.Assert(t, strings.Contains(o.Reason, "quota"), o.Reason)
	}
	assert.DeepEqual(t, w.manifest(), before)
}

// What lies on another mount than the data root has no place to wait, and is
// never copied. What is hidden below that mount is nobody's to take.
func TestOtherMount(t *testing.T) {
	w := newWorld(t, "overlay2", stray)
	layers, disk := filepath.Join(w.Dir, "overlay2"), filepath.Join(t.TempDir(), "layers")
	run(t, "cp", "-a", layers, disk)
	hidden := w.manifest()
	run(t, "mount", "--bind", disk, layers)
	mounted := true
	t.Cleanup(func() {
		if mounted {
			run(t, "umount", layers)
		}
	})
	before := w.manifest()
	result := w.execute(prune.Options{})
	assert.Equal(t, result.Outcomes[0].End, journal.Skipped)
	assert.Assert(t, strings.Contains(result.Outcomes[0].Reason, "another mount"), "%v", result.Outcomes)
	assert.DeepEqual(t, w.manifest(), before)
	run(t, "umount", layers)
	mounted = false
	assert.DeepEqual(t, w.manifest(), hidden)
}

// A driver's directory that is mounted on itself is still the data root's.
func TestMountedOnItself(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	layers := filepath.Join(w.Dir, "overlay2")
	run(t, "mount", "--bind", layers, layers)
	t.Cleanup(func() { run(t, "umount", layers) })
	before := w.manifest()
	plan, _ := w.plan(prune.Options{})
	result := w.execute(prune.Options{})
	assert.Equal(t, w.ends(result)["layer {layer stray}"], journal.Freed)
	assert.Equal(t, w.ends(result)["rw-layer {container leak}"], journal.Quarantined)
	assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Free, journal.Quarantine)...))
	r := w.runner(w.disk())
	held, err := r.Held()
	assert.NilError(t, err)
	_, err = r.Restore(t.Context(), held)
	assert.NilError(t, err)
	assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Free)...))
}
