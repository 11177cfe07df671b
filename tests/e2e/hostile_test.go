//go:build e2e && linux

package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// TestHostile leaks layers that hold all that root in a container can make,
// and more, and mounts into them what must not be touched, before and in the
// middle of a run. Nothing but the layers may change.
func TestHostile(t *testing.T) {
	t.Parallel()
	h := newHost(t, place{"debian", "overlay2"})
	v := newVictim(t, h)
	lost := h.Down(t, "--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", "base:1", "busybox", "sh", "-c", `set -e
		b=busybox
		$b ln -s /etc /etc-link; $b ln -s ../../../../../../../../../../etc/passwd /up; $b ln -s "`+v.dir+`" /out
		$b mknod /null c 1 3; $b mknod /disk b 7 99; $b mkfifo /fifo
		$b mkdir /inside /bound; $b mount -t tmpfs none /inside; echo i >/inside/i; $b mount -o bind /etc /bound
		echo done >/done`)
	writable, initial := h.ContainerLayers(t, lost)
	assert.Assert(t, h.Has(writable+"/diff/done"), "the container's script did not get to its end")
	left := h.KillInLoad(t, 1<<20)
	layer := h.Path(left.Layer + "/diff")
	for _, dir := range []string{h.Path(writable + "/diff"), layer} {
		v.plant(t, dir)
	}
	h.freeze(t, h.Path(writable+"/diff")).Open()
	gate := h.freeze(t, layer)
	h.Lose(t, "containers/"+lost)
	h.again(t)
	wants := []want{
		orphan("image-layer", left.Chain, left.ChainLayer), orphan("layer", left.Layer), orphan("download", left.WriteSet),
		orphan("rw-layer", h.MountRecord(lost), writable, initial),
	}
	was := h.picture(t)

	// Somebody has something mounted in them: they are not touched at all.
	first, second := v.mountIn(t, h.Path(writable+"/diff/victim")), v.mountIn(t, layer+"/victim")
	for _, path := range []string{writable, left.Layer} {
		h.assertVerdict(t, path, isHeld, shortGrace...)
	}
	h.prune(t)
	h.assertSame(t, was, []string{h.MountRecord(lost), writable, initial, left.Layer})
	end(t, first)
	end(t, second)

	// It is mounted when they are aside: they come back.
	for _, path := range []string{writable, left.Layer} { // the kernel takes its time with dead namespaces
		h.assertVerdict(t, path, isOrphan, shortGrace...)
	}
	taken := moment{name: "when it has taken the layer", is: func(a *attempt) bool { return !h.Has(left.Layer) && !a.looked() }}
	a := h.attempt(t, taken, 0, gate)
	mounter := v.mountIn(t, filepath.Join(a.trash(t, left.Layer), "diff", "victim"))
	assert.Equal(t, a.goOn(t), 4, a.output())
	h.assertSame(t, was, []string{left.Layer})
	v.assertWhole(t)
	end(t, mounter)

	// It is mounted while they are unlinked, where prune itself sees it. A
	// tree is in it that no path leads to the end of.
	v.deep(t, layer)
	a = h.attempt(t, moments[3], 0, gate)
	place := a.trash(t, left.Layer)
	assert.NilError(t, unix.Mount(v.dir, place+"/diff", "", unix.MS_BIND, ""))
	code := a.goOn(t)
	assert.NilError(t, unix.Unmount(place+"/diff", 0))
	assert.Equal(t, code, 4, a.output())
	v.assertWhole(t)

	h.prune(t)
	v.assertWhole(t)
	h.assertOthers(t, was, paths(wants))
	h.Docker(t, "start", h.up)
	// One of the runs has the container's layers.
	held := h.List(".docker-orphans/runs")
	assert.Check(t, slices.ContainsFunc(held, func(run string) bool { return len(h.List(run+"/held")) > 0 }), "%v", held)
	h.command(t, 0, "purge", "--all", "--force")
	for _, run := range held {
		assert.Equal(t, len(h.List(run+"/held"))+len(h.List(run+"/trash")), 0, run)
	}
	assert.Equal(t, len(h.List(".docker-orphans/deep")), 0)
	v.assertWhole(t)
	h.again(t)
	engine.Check(t, h.Daemon, was.state)
	for _, path := range paths(wants) {
		assert.Check(t, !h.Has(path), "%s is an orphan, and is still there", path)
	}
}

// trash is where the attempt's run has put a layer.
func (a *attempt) trash(t *testing.T, layer string) string {
	t.Helper()
	places, err := filepath.Glob(a.h.Path(a.run() + "/trash/*=" + filepath.Base(layer)))
	assert.NilError(t, err)
	assert.Equal(t, len(places), 1, "%v", places)
	return places[0]
}

// assertOthers asserts that nothing of the daemon's but the given paths has
// changed since the picture, not even a time.
func (h *host) assertOthers(t *testing.T, was picture, but []string) {
	t.Helper()
	parents := map[string]bool{}
	for _, path := range but {
		parents[filepath.Dir(h.Path(path))] = true
	}
	is := stamps(t, h.Root)
	compared := 0
	for path, then := range was.tree {
		below := slices.ContainsFunc(but, func(p string) bool { return path == h.Path(p) || strings.HasPrefix(path, h.Path(p)+"/") })
		dir, _, _ := strings.Cut(strings.TrimPrefix(path, h.Root+"/"), "/")
		if below || parents[path] || !slices.Contains([]string{"overlay2", "volumes", "containers"}, dir) || strings.HasPrefix(path, h.Path("overlay2/l")) {
			continue
		}
		compared++
		assert.Check(t, is[path] == then, "%s was %v and is %v", path, then, is[path])
	}
	assert.Assert(t, compared > 100, "only %d things compared", compared)
}

// A victim is what lies outside of the layers and must not be touched.
type victim struct {
	h    *host // beside whose data root it lies
	dir  string
	was  map[string]syscall.Stat_t
	etc  map[string]syscall.Stat_t
	data string
}

func newVictim(t *testing.T, h *host) *victim {
	t.Helper()
	v := &victim{h: h, dir: h.Dir + "/victim", data: "precious"}
	assert.NilError(t, os.MkdirAll(v.dir+"/below", 0o751))
	for _, name := range []string{"file", "below/file"} {
		assert.NilError(t, os.WriteFile(filepath.Join(v.dir, name), []byte(v.data), 0o640))
	}
	v.was, v.etc = stamps(t, v.dir), accounts(t)
	return v
}

// accounts are files that the links in the layers lead to.
func accounts(t *testing.T) map[string]syscall.Stat_t {
	all := map[string]syscall.Stat_t{}
	for _, name := range []string{"/etc/passwd", "/etc/group", "/etc/shadow"} {
		maps.Copy(all, stamps(t, name))
	}
	return all
}

func (v *victim) assertWhole(t *testing.T) {
	t.Helper()
	assert.DeepEqual(t, stamps(t, v.dir), v.was)
	assert.DeepEqual(t, accounts(t), v.etc)
	for _, name := range []string{"file", "below/file"} {
		data, err := os.ReadFile(filepath.Join(v.dir, name))
		assert.NilError(t, err)
		assert.Equal(t, string(data), v.data)
	}
}

// plant makes in a layer's directory what a container can have there.
func (v *victim) plant(t *testing.T, dir string) {
	t.Helper()
	for _, sub := range []string{"victim", "sub"} {
		assert.NilError(t, os.MkdirAll(filepath.Join(dir, sub), 0o700))
	}
	for name, target := range map[string]string{
		"link": v.dir, "sub/link": v.dir + "/file", "sub/etc": "/etc", "sub/up": strings.Repeat("../", 20) + "etc/shadow", "sub/loop": "loop",
	} {
		assert.NilError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	assert.NilError(t, unix.Mknod(dir+"/socket", unix.S_IFSOCK|0o600, 0))
	assert.NilError(t, unix.Mknod(dir+"/sub/zero", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
	odd := strings.Repeat("\xff\n\x01 ", 63) + "abc"
	assert.Equal(t, len(odd), 255)
	assert.NilError(t, os.WriteFile(filepath.Join(dir, odd), []byte("x"), 0o000))
	assert.NilError(t, os.Truncate(filepath.Join(dir, odd), 1<<40)) // almost all of it is a hole
}

// deep makes a tree that is deeper than a path can say.
func (*victim) deep(t *testing.T, dir string) {
	t.Helper()
	at, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	assert.NilError(t, err)
	for range 20_000 {
		assert.NilError(t, unix.Mkdirat(at, "d", 0o700))
		next, err := unix.Openat(at, "d", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		assert.NilError(t, err)
		assert.NilError(t, unix.Close(at))
		at = next
	}
	assert.NilError(t, unix.Close(at))
}

// mountIn starts a process that has the victim mounted at a path, in a mount
// namespace of its own.
func (v *victim) mountIn(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	return background(t, &exec.Cmd{
		Path:        v.h.Engine.Busybox,
		Args:        []string{"busybox", "sh", "-c", `mount -o bind "$0" "$1" && echo ready && exec busybox sleep 100000`, v.dir, path},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS},
	})
}
