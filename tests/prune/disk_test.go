//go:build linux

package prune_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/source"
)

// A disk replaces nothing, follows no link and leaves its root by no way.
func TestDiskStaysBelow(t *testing.T) {
	w := newWorld(t, "overlay2", "image app: base top\n")
	outside := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(outside, "mine"), []byte("mine"), 0o600))
	assert.NilError(t, os.Symlink(outside, filepath.Join(w.Dir, "out")))
	assert.NilError(t, os.Mkdir(filepath.Join(w.Dir, "a"), 0o700))
	assert.NilError(t, os.Mkdir(filepath.Join(w.Dir, "b"), 0o700))
	disk := w.disk()

	assert.ErrorIs(t, disk.Rename("a", "b"), fs.ErrExist)
	for _, err := range []error{
		disk.Rename("a", "out/a"), disk.Mkdir("out/x"), disk.Remove("out/mine"), disk.Append("out/x", []byte("x\n")),
		disk.Rename("../root", "b/root"), disk.Mkdir("../x"), disk.Remove("b/../../root/a"), disk.Append("/x", []byte("x\n")),
	} {
		assert.Assert(t, err != nil)
	}
	_, err := disk.RemoveTree(t.Context(), "out/mine")
	assert.Assert(t, err != nil)
	_, err = disk.RemoveTree(t.Context(), "out") // the link itself
	assert.NilError(t, err)
	left, err := os.ReadDir(outside)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 1)
}

// What is in the state directory is renamed into the data root, so nobody
// else may write there.
func TestStateDirectoryIsOurs(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"a link":            func(dir string) error { return errors.Join(os.Remove(dir), os.Symlink("/etc", dir)) },
		"anybody may write": func(dir string) error { return os.Chmod(dir, 0o777) },
		"somebody else's":   func(dir string) error { return os.Chown(dir, 1234, 1234) },
		"a file":            func(dir string) error { return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "overlay2", "image app: base top\n")
			dir := filepath.Join(w.Dir, journal.Dir)
			assert.NilError(t, os.Mkdir(dir, 0o700))
			assert.NilError(t, spoil(dir))
			_, err := prune.Lock(w.Dir)
			assert.Assert(t, err != nil && !errors.Is(err, prune.ErrBusy), "%v", err)
		})
	}
}

// What lies in quarantine and is not what was put there does not come back.
func TestRestoreRefuses(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	w.execute(prune.Options{})
	r := w.runner(w.disk())
	held, err := r.Held()
	assert.NilError(t, err)
	h := held[0]
	place := filepath.Join(w.Dir, h.Step.Place(h.Run.ID, 0))
	from := filepath.Join(w.Dir, h.Step.Moves[0].From)

	assert.NilError(t, os.Rename(place, place+".away"))
	assert.NilError(t, os.Mkdir(place, 0o700))
	_, err = r.Restore(t.Context(), held)
	assert.ErrorContains(t, err, "is not what was shown")
	assert.NilError(t, os.Remove(place))
	assert.NilError(t, os.Rename(place+".away", place))

	assert.NilError(t, os.Mkdir(from, 0o700))
	_, err = r.Restore(t.Context(), held)
	assert.ErrorContains(t, err, "something else is there now")
	entries, err := os.ReadDir(from)
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 0)
	assert.NilError(t, os.Remove(from))

	w.do("rm LAYERS/{layer base}")
	_, err = r.Restore(t.Context(), held)
	assert.ErrorContains(t, err, "it needs")
}

// A place that something is mounted in is not unlinked, whoever mounted it
// and whenever (rule 6).
func TestMountedInQuarantine(t *testing.T) {
	w := newWorld(t, "overlay2", leaky)
	w.execute(prune.Options{})
	dir, err := filepath.EvalSymlinks(w.Dir)
	assert.NilError(t, err)
	disk, done, err := prune.OpenDisk(dir, "/proc")
	assert.NilError(t, err)
	defer func() { _ = done() }()
	r := w.runner(disk)
	held, err := r.Held()
	assert.NilError(t, err)
	place := filepath.Join(dir, held[0].Step.Place(held[0].Run.ID, 0))
	precious := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(precious, "file"), []byte("x"), 0o600))

	// In a mount namespace of its own, where we do not see it.
	cmd := exec.Command("sh", "-c", "mount --make-rprivate / && mount --bind "+precious+" "+place+"/diff && echo && cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	in, err := cmd.StdinPipe()
	assert.NilError(t, err)
	out, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, cmd.Start())
	_, err = out.Read(make([]byte, 1))
	assert.NilError(t, err)
	_, err = r.Purge(context.Background(), held)
	assert.ErrorContains(t, err, "mounted at")
	_, statErr := os.Stat(filepath.Join(place, "diff/file"))
	assert.NilError(t, statErr)
	assert.NilError(t, in.Close())
	assert.NilError(t, cmd.Wait())
	assert.NilError(t, os.RemoveAll(filepath.Join(precious, "none")))

	// What was asked for is done by the next run.
	_, err = r.Recover(context.Background())
	assert.NilError(t, err)
	held, err = r.Held()
	assert.NilError(t, err)
	assert.Equal(t, len(held), 0)
}

// Every source list has the quarantine first: what others find mounted or
// open may lie in it.
func TestQuarantineIsReadFirst(t *testing.T) {
	assert.Equal(t, source.All[0], source.Quarantine)
}
