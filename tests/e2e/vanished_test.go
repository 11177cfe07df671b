//go:build e2e && linux

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// TestComesBack loses a container of an image that goes as well, prunes around
// a restart of the daemon, and brings all back: what the container wrote, and
// what it lies on, which nothing but the quarantine has kept (rule 11).
func TestComesBack(t *testing.T) {
	t.Parallel()
	h := newHost(t, place{"debian", "overlay2"})
	image := h.Load(t, engine.Archive("gone:1", engine.Tar(h.Base(t, engine.File{Name: "g", Data: "g"})...), engine.Tar(engine.File{Name: "top", Data: "top"})))
	chains := paths(h.chains(t, image))
	lost := h.Down(t, "gone:1", "sh", "-c", "echo userdata >>/precious; cat /precious /top")
	record, kept := h.MountRecord(lost), filepath.Join(h.Dir, "kept")
	h.stopped(t, func() { assert.NilError(t, os.Rename(h.Path("containers/"+lost), kept)) })
	h.Docker(t, "rmi", "gone:1")
	before := engine.Snapshot(t, h.Daemon)

	// Whether it was protected nobody knows any more: that is no "not".
	h.command(t, 0, slices.Concat(shortGrace, []string{"prune", "--force", "--filter", "label!=protected"})...)
	assert.Assert(t, h.Has(record), "went although its labels are not known")

	for range 2 { // as the daemon has it in memory, and as it has not
		h.prune(t)
		assert.Assert(t, !h.Has(record), "%s is an orphan, and is still there", record)
		for _, path := range chains {
			assert.Check(t, h.Has(path), "%s is gone, and with it the way back", path)
		}
		h.again(t)
		engine.Check(t, h.Daemon, before)
	}
	h.command(t, 0, "restore", "--last")
	h.stopped(t, func() { assert.NilError(t, os.Rename(kept, h.Path("containers/"+lost))) })
	assert.Equal(t, h.Docker(t, "start", "--attach", lost), "userdata\nuserdata\ntop")
}

// TestSharedInode leaks a layer that shares a file with one that is used, as
// layers of the old overlay driver do. A flag that keeps the file is its
// owner's: it stays, and the file with it.
func TestSharedInode(t *testing.T) {
	t.Parallel()
	h := newHost(t, place{"debian", "overlay2"})
	left := h.KillInLoad(t, 1<<20)
	_, base := h.Registered(t, engine.DiffID(engine.Tar(h.Base(t)...)))
	file := h.Path(base + "/diff/bin/busybox")
	assert.NilError(t, os.Link(file, h.Path(left.Layer+"/diff/shared")))
	setImmutable(t, file, true)
	t.Cleanup(func() { setImmutable(t, file, false) })
	h.again(t)
	before := engine.Snapshot(t, h.Daemon)

	out := h.command(t, 4, slices.Concat(shortGrace, []string{"prune", "--force"})...)
	assert.Check(t, strings.Contains(out.Stderr, "Not finished"), out.Stderr)
	f, err := os.Open(file)
	assert.NilError(t, err)
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	assert.NilError(t, err)
	assert.Check(t, flags&immutable != 0, "the flag of a file that is used was taken off")
	engine.Check(t, h.Daemon, before)

	setImmutable(t, file, false)
	h.prune(t)
	var st unix.Stat_t
	assert.NilError(t, unix.Fstat(int(f.Fd()), &st))
	assert.Equal(t, int(st.Nlink), 1)
	engine.Check(t, h.Daemon, before)
}
