//go:build e2e && linux

package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// A refusal is a question that the program must not answer.
type refusal struct {
	name string
	args []string
	says []string // on standard error
}

func refuses(t *testing.T, d *engine.Daemon, refusals []refusal) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			out := d.Run(t, suite.program, append(r.args, "ls")...)
			assert.Equal(t, out.Code, 1, out.Stderr)
			assert.Equal(t, out.Stdout, "")
			for _, text := range r.says {
				assert.Check(t, strings.Contains(out.Stderr, text), "%q is not in:\n%s", text, out.Stderr)
			}
		})
	}
}

// A root is judged with the help of the daemon that owns it, or not at all.
func TestRefused(t *testing.T) {
	t.Parallel()
	one := place{"debian", "overlay2"}.start(t)
	other := place{"debian", "vfs"}.start(t)
	refuses(t, one, []refusal{
		{"the root of another daemon", []string{"-H", other.Host, "--data-root", one.Root}, []string{one.Root, "dockerd", "-H unix://"}},
		{"no daemon, and a root in use", []string{"-H", "unix:///nonexistent", "--data-root", one.Root}, []string{one.Root, "dockerd"}},
		{"no daemon and no root", []string{"-H", "unix:///nonexistent"}, []string{"unix:///nonexistent", "--data-root"}},
		{"no such root", []string{"-H", "unix:///nonexistent", "--data-root", "/nonexistent"}, []string{"/nonexistent"}},
		{"not a data root", []string{"-H", "unix:///nonexistent", "--data-root", "/proc"}, []string{"/proc"}},
	})
}

// Two machines from one golden image: their daemons have the same engine id.
// What one of them says proves nothing of the other's root, nor does what
// comes through a socket that leads who knows where.
func TestClonedRoot(t *testing.T) {
	for _, e := range suite.engines {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			one := place{e.Name, "overlay2"}.start(t)
			one.Stop(t)
			dir, err := engine.TempDir(suite.dir)
			assert.NilError(t, err)
			copied := filepath.Join(dir, "root")
			out, err := exec.Command("cp", "-a", one.Root, copied).CombinedOutput()
			assert.NilError(t, err, "%s", out)
			one.Start(t)
			other := engine.Start(t, e, engine.Options{Driver: "overlay2", DataRoot: copied, Dir: suite.dir})
			id := func(d *engine.Daemon) string { return d.Docker(t, "info", "--format", "{{.ID}}") }
			assert.Equal(t, id(one), id(other))

			toOne, toOther := forward(t, dir+"/1", one), forward(t, dir+"/2", other)
			says := []string{one.Root, "dockerd", "-H unix://"}
			refuses(t, one, []refusal{
				{"the clone's daemon", []string{"-H", other.Host, "--data-root", one.Root}, says},
				{"forwarded to the clone's daemon", []string{"-H", toOther, "--data-root", one.Root}, says},
				{"forwarded to the clone's daemon, for its own root", []string{"-H", toOther}, []string{other.Root, "dockerd"}},
				{"forwarded to the right daemon", []string{"-H", toOne}, says},
			})
			for _, d := range []*engine.Daemon{one, other} {
				d.Findings(t, suite.program) // asked directly each answers
			}
		})
	}
}

// Two daemons on one root. The databases that each locks prevent it, until
// somebody deletes them under the first: then what either has on disk and in
// memory is not all that there is.
func TestTwoDaemons(t *testing.T) {
	for _, e := range suite.engines {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			first := &host{Daemon: place{e.Name, "overlay2"}.start(t)}
			first.Import(t, "base:1", first.Base(t)...)
			first.Create(t, "base:1", "true")
			left := first.KillInImport(t, 1<<20)
			first.Start(t)
			first.assertVerdict(t, left.Layer, isOrphan)

			for _, pattern := range []string{"*/*.db", "*/*/*.db", "containerd/daemon/*/*.db"} {
				names, err := filepath.Glob(first.Path(pattern))
				assert.NilError(t, err)
				for _, name := range names {
					assert.NilError(t, os.Remove(name))
				}
			}
			second := &host{Daemon: engine.Start(t, e, engine.Options{Driver: "overlay2", DataRoot: first.Root, Dir: suite.dir})}
			refuses(t, first.Daemon, []refusal{
				{"the first", []string{"-H", first.Host}, []string{first.Root, "dockerd", fmt.Sprint(second.PID())}},
			})
			second.assertVerdict(t, left.Layer, isUnsure, shortGrace...)
		})
	}
}

// forward makes a socket that leads to the daemon's, as ssh -L does.
func forward(t *testing.T, socket string, d *engine.Daemon) (host string) {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	assert.NilError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return // closed: the test is over
			}
			out, err := net.Dial("unix", strings.TrimPrefix(d.Host, "unix://"))
			if err != nil {
				in.Close()
				continue
			}
			pipe := func(to, from net.Conn) {
				_, _ = io.Copy(to, from) // until either side hangs up
				to.Close()
			}
			go pipe(out, in)
			go pipe(in, out)
		}
	}()
	return "unix://" + socket
}

// A daemon that keeps its images in containerd is not answered with "no
// orphans".
func TestContainerdStore(t *testing.T) {
	latest, ok := suite.engines["latest"]
	if !ok {
		return // said at the start of the suite
	}
	t.Parallel()
	latest.Config = "" // as it comes
	d := engine.Start(t, latest, engine.Options{Driver: "overlayfs", Dir: suite.dir})
	d.Import(t, "base:1", d.Base(t)...)
	refuses(t, d, []refusal{
		{"online", []string{"-H", d.Host}, []string{"keeps images in containerd", "overlayfs", "not supported yet"}},
	})
}
