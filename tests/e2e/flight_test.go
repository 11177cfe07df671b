//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// Two leaked layers: one mounted in a mount namespace of its own, one the
// working directory of a process. Nobody owns them and nobody may take them.
func held(t *testing.T, h *host) []want {
	mounted := h.KillInImport(t, 1<<20)
	h.Start(t)
	visited := h.KillInImport(t, 1<<20)
	h.again(t)

	mounter := background(t, &exec.Cmd{
		Path:        h.Engine.Busybox,
		Args:        []string{"busybox", "sh", "-c", `mount -o bind "$0" /mnt && echo ready && exec busybox sleep 100000`, h.Path(h.Content(mounted.Layer))},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS},
	})
	visitor := background(t, &exec.Cmd{
		Path: h.Engine.Busybox,
		Args: []string{"busybox", "sh", "-c", "echo ready && exec busybox sleep 100000"},
		Dir:  h.Path(h.Content(visited.Layer)),
	})
	for layer, holder := range map[string]int{mounted.Layer: mounter.Process.Pid, visited.Layer: visitor.Process.Pid} {
		f := h.assertVerdict(t, layer, isHeld)
		assert.Check(t, strings.Contains(h.inspect(t, f.ID), fmt.Sprint(holder)), "inspect of %s does not name process %d", layer, holder)
	}
	end(t, mounter)
	end(t, visitor)
	return []want{
		orphan("layer", mounted.Layer), orphan("download", mounted.WriteSet),
		orphan("layer", visited.Layer), orphan("download", visited.WriteSet),
	}
}

// background starts a program and waits until it says that it is ready.
func background(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	out, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // mostly ended before
	_, err = fmt.Fscanln(out, new(string))
	assert.NilError(t, err, "%v", cmd.Args)
	return cmd
}

func end(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	assert.NilError(t, cmd.Process.Kill())
	assert.ErrorContains(t, cmd.Wait(), "killed")
}

// inspect is the evidence for one finding, which must be JSON.
func (h *host) inspect(t *testing.T, id string) string {
	t.Helper()
	out := h.Run(t, suite.program, "-H", h.Host, "inspect", id)
	assert.Equal(t, out.Code, 0, out.Stderr)
	assert.Assert(t, json.Valid([]byte(out.Stdout)), out.Stdout)
	return out.Stdout
}

// A layer and a write-set that nothing names, because they are being written.
// No grace is short enough to make orphans of them.
func importUnderWay(t *testing.T, h *host) []want {
	i := h.BeginImport(t, "slow:1", 1<<20)
	for _, args := range [][]string{nil, shortGrace} {
		for _, path := range []string{i.Layer, i.WriteSet} {
			h.assertVerdict(t, path, isPending, args...)
		}
	}
	i.Finish(t)
	h.assertVerdict(t, i.Layer, isUsed)
	return nil
}

// A registered layer that no image names, because the rest of its image is
// still being pulled; for hours, it may be.
func pullUnderWay(t *testing.T, h *host) []want {
	p := h.BeginPull(t)
	for _, path := range append(h.List("tmp"), p.Layer) {
		h.assertVerdict(t, path, isPending)
	}
	image := p.Finish(t)
	h.assertVerdict(t, p.Layer, isUsed)
	h.Down(t, image, "true")
	return nil
}

// A container that is being made, for as long as the files of its image are
// copied into its volume. The newest engine has no config of it until then.
func createUnderWay(t *testing.T, h *host) []want {
	h.Build(t, "full:1", "FROM base:1\nCOPY f /full/f\n", engine.File{Name: "f", Data: "f"})
	h.Docker(t, "volume", "create", "slow")
	records := filepath.Dir(h.MountRecord(h.up))
	before := h.List(records)
	gate := engine.Shut(t, h.Path("volumes/slow/_data"))
	create := h.Begin(t, nil, "create", "--network=none", "--volume=slow:/full", "full:1", "true")
	engine.Eventually(t, "copying into the volume", gate.Waiting)

	made := added(before, h.List(records))
	assert.Equal(t, len(made), 1, "%v", made)
	id := filepath.Base(made[0])
	writable, initial := h.ContainerLayers(t, id)
	for _, args := range [][]string{nil, shortGrace} {
		for _, path := range []string{made[0], "containers/" + id, writable, initial} {
			h.assertVerdict(t, path, isBusy, args...)
		}
	}
	gate.Open()
	create.Finish(t)
	h.Docker(t, "start", "--attach", id)
	return nil
}

// What a build has while it runs: layers under names of its own, which the
// API's list of builds does not have.
func buildUnderWay(t *testing.T, h *host) []want {
	before := h.Layers()
	b := h.BeginBuildKit(t, "slow:2", "FROM app:1\nRUN echo 1 >/first\nRUN echo 2 >/second && sleep 100000\n")
	engine.Eventually(t, "the second step of the build", func() bool {
		return slices.ContainsFunc(added(before, h.Layers()), func(layer string) bool { return h.Has(h.Content(layer) + "/second") })
	})
	layers := added(before, h.Layers())
	assert.Check(t, len(layers) >= 2, "a layer for each step: %v", layers)
	for _, args := range [][]string{nil, shortGrace} {
		for _, layer := range layers {
			h.assertVerdict(t, layer, isBusy, args...)
		}
	}
	// What it has come to stays in the build cache; the newest engine keeps
	// the step that was cut off too.
	b.Cut(t)
	return nil
}

// What Docker's own cleaning says about orphans: nothing.
func systemPrune(t *testing.T, h *host) []want {
	h.Docker(t, "system", "prune", "--all", "--force", "--volumes")
	usage := func() string { return h.Docker(t, "system", "df") }
	before := usage()
	lost := h.Create(t, "app:1", "true")
	writable, initial := h.ContainerLayers(t, lost)
	left := h.KillInImport(t, 1<<20)
	h.Lose(t, "containers/"+lost)
	h.again(t)

	pruned := h.Docker(t, "system", "prune", "--all", "--force", "--volumes")
	assert.Equal(t, pruned, "Total reclaimed space: 0B")
	assert.Equal(t, usage(), before, "what docker thinks that it uses and could free")
	h.InstallPlugin(t, suite.program)
	h.assertVerdict(t, left.Layer, isOrphan)
	assert.Equal(t, len(h.Lines(t, "orphans", "ls", "--quiet")), 2, "by way of the docker CLI")
	return []want{
		orphan("layer", left.Layer), orphan("download", left.WriteSet),
		orphan("rw-layer", h.MountRecord(lost), writable, initial),
	}
}
