//go:build e2e && linux && !vm

package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// systemContainerd starts a containerd that is not the daemon's own, as
// distributions have it, and returns its address and root. It ends after daemons
// that t starts later.
func systemContainerd(t *testing.T, e engine.Engine) (address, root string) {
	t.Helper()
	dir, err := engine.TempDir(suite.dir)
	assert.NilError(t, err)
	address, root = dir+"/s", dir+"/root"
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = %q\n", root, dir+"/state", address)
	assert.NilError(t, os.WriteFile(dir+"/config.toml", []byte(config), 0o600))
	cmd := exec.Command(e.Containerd, "--config", dir+"/config.toml")
	cmd.Env = []string{"PATH=" + filepath.Dir(e.Containerd) + ":/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	assert.NilError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()                          // how does not matter
	})
	engine.Eventually(t, "containerd listens", func() bool {
		_, err := os.Stat(address)
		return err == nil
	})
	return address, root
}

// foreign puts a blob in another namespace, which is kept there. Until it has its
// label the collector of a containerd that has just started may take it.
func foreign(t *testing.T, address string) {
	t.Helper()
	const text = "foreign"
	ctr := func(args ...string) (string, error) {
		cmd := exec.Command("ctr", append([]string{"--address", address, "--namespace", "k8s.io"}, args...)...)
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	engine.Eventually(t, "a blob is kept in another namespace", func() bool {
		out, err := ctr("content", "ingest", "ref")
		assert.NilError(t, err, out)
		out, err = ctr("content", "label", fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))), "containerd.io/gc.root=now")
		assert.Assert(t, err == nil || strings.Contains(out, "not found"), out)
		return err == nil
	})
}

// taken is what du finds below a directory, in bytes on disk.
func taken(t *testing.T, dir string) int64 {
	t.Helper()
	out, _ := exec.Command("du", "-s", "--block-size=1", "--one-file-system", dir).Output() // a file that goes meanwhile is an error to it
	text, _, _ := strings.Cut(string(out), "\t")
	return integer(t, text)
}

// The accounts add up to what du finds below the data root and below containerd's,
// wherever that is; and every blob and snapshot is said to be somebody's, on an engine
// that keeps images in storage drivers and on one that keeps them in containerd.
func TestContainerd(t *testing.T) {
	store := suite.engines["latest"]
	store.Config = `{}`
	for name, tc := range map[string]struct {
		engine  engine.Engine
		driver  string
		apart   bool // containerd is the system's, not the daemon's own
		inStore bool
	}{
		"20.10, its own":             {suite.engines["debian"], "overlay2", false, false},
		"20.10, the system's":        {suite.engines["debian"], "overlay2", true, false},
		"29, images in its own":      {store, "overlayfs", false, true},
		"29, images in the system's": {store, "overlayfs", true, true},
	} {
		if tc.engine.Dockerd == "" {
			continue // as everywhere: the newest only where it is installed
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := ""
			if tc.apart {
				var address string
				address, root = systemContainerd(t, tc.engine)
				tc.engine.Config = fmt.Sprintf(`{"containerd": %q}`, address)
				foreign(t, address)
			}
			h := &host{Daemon: engine.Start(t, tc.engine, engine.Options{Driver: tc.driver, Dir: suite.dir})}
			h.Import(t, "base:1", h.Base(t)...)
			h.BuildKit(t, "app:1", "FROM base:1\nCOPY a /a\nRUN head -c 999 /dev/urandom >/b\n", engine.File{Name: "a", Data: "a"})
			h.Up(t, "--name=up", "app:1", "sh", "-c", "head -c 3145728 /dev/zero >/w; sleep 100000")
			engine.Eventually(t, "the container wrote", func() bool {
				return strings.Contains(h.Docker(t, "diff", "up"), "/w")
			})
			h.assertContainerd(t, root, tc.inStore)
			if tc.inStore {
				assert.Assert(t, strings.Contains(h.command(t, 1, "ls").Stderr, "not supported yet"))
			}

			h.Stop(t)
			if tc.inStore && tc.apart {
				return // then nothing tells where its images are
			}
			out := h.offline(t, 0, "df").Stdout
			assert.Equal(t, strings.Contains(out, "containerd's root could not be found"), tc.apart, out)
		})
	}
}

// assertContainerd compares df with du, and asks whose all of containerd's is.
func (h *host) assertContainerd(t *testing.T, root string, inStore bool) {
	t.Helper()
	var bills map[string]bill
	var is, says [2]int64
	for range patience { // the daemon and containerd write between the walks
		is[0] = taken(t, h.Root)
		if root != "" {
			is[1] = taken(t, root)
		}
		bills = h.bills(t, shortGrace...)
		if says = [2]int64{bills["total"].SizeBytes, bills["containerd: total"].SizeBytes}; says == is {
			break
		}
	}
	assert.Equal(t, says, is)
	prefix, at := "", filepath.Join(h.Root, "containerd/daemon")
	if root != "" {
		prefix, at = "containerd: ", root
		assert.Assert(t, strings.Contains(h.command(t, 0, "df").Stdout, "in the namespaces k8s.io."))
		assert.Assert(t, bills["containerd: other namespaces"].SizeBytes > 0, "%v", bills)
	}
	for account := range bills {
		assert.Check(t, !strings.Contains(account, "unknown") && !strings.Contains(account, "orphan"), "%v", bills)
	}
	if !inStore {
		return
	}
	assert.Check(t, bills[prefix+"images"].SizeBytes > 1<<20 && *bills[prefix+"images"].DockerBytes > 1<<20, "%v", bills)
	assert.Check(t, bills[prefix+"writable layers"].SizeBytes > 3<<20, "%v", bills)
	assert.Check(t, bills[prefix+"build cache"].SizeBytes > 0, "%v", bills)

	var paths []string
	for _, dir := range []string{"io.containerd.content.v1.content/blobs/sha256", "io.containerd.snapshotter.v1.overlayfs/snapshots"} {
		entries, err := os.ReadDir(filepath.Join(at, dir))
		assert.NilError(t, err)
		for _, e := range entries {
			paths = append(paths, filepath.Join(at, dir, e.Name()))
		}
	}
	texts := map[string]bool{}
	for line := range strings.Lines(h.command(t, 0, append([]string{"which", "--format", "json"}, paths...)...).Stdout) {
		var answer struct {
			Query, Text, Path string
			Known             bool
		}
		assert.NilError(t, json.Unmarshal([]byte(line), &answer))
		assert.Check(t, answer.Known && answer.Path == answer.Query, line)
		first, _, _ := strings.Cut(answer.Text, ";")
		texts[first] = true
	}
	for _, text := range []string{
		"writable layer of container up", "init layer of container up", "config", "manifest", "layer 1 of 1 of image base:1, also of app:1",
		`layer 2 of 3 of image app:1, created by "COPY a /a"`, `packed layer 3 of 3 of image app:1, created by "RUN head -c 999 /dev/urandom >/b"`,
	} {
		assert.Check(t, texts[text], "%s is not in %v", text, texts)
	}
	merged := ""
	err := filepath.WalkDir(filepath.Join(h.Root, "rootfs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "w" {
			merged = path
		}
		return err
	})
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(h.command(t, 0, "which", merged).Stdout, "writable layer of container up"), merged)
}
