package source

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// inNamespace runs a shell script in a mount namespace of its own, as one
// process, and waits until it says something. The script gets arguments, and
// ends with the test.
func inNamespace(t testing.TB, script string, args ...string) int {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cmd := exec.Command("unshare", append([]string{
		"--mount", "--propagation", "private", "sh", "-ec", script + "\necho ready; read line", "sh",
	}, args...)...)
	out, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	_, err = cmd.StdinPipe()
	assert.NilError(t, err)
	cmd.Stderr = os.Stderr
	assert.NilError(t, cmd.Start())
	t.Cleanup(func() {
		assert.Check(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed, and says so
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	assert.NilError(t, err)
	return cmd.Process.Pid
}

// mine are the marks that a process brought.
func mine(g *scan.Graph, pid int) []string {
	var lines []string
	for _, line := range heldBy(g) {
		if rest, ok := strings.CutSuffix(line, fmt.Sprintf(" by sh (pid %d)", pid)); ok {
			lines = append(lines, rest)
		} else if rest, ok := strings.CutSuffix(line, fmt.Sprintf(" of sh (pid %d)", pid)); ok {
			lines = append(lines, rest)
		}
	}
	return lines
}

// undoubted checks that a process raised no doubt.
func undoubted(t testing.TB, g *scan.Graph, pid int) {
	t.Helper()
	for _, d := range g.Doubts {
		assert.Check(t, !strings.HasPrefix(d.Where, fmt.Sprintf("/proc/%d/", pid)), "%v", d)
	}
}

// Real mounts in a namespace that no other process lives in.
func TestMountsOfTheSystem(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	putLink(t, in.DataRoot, "../"+hex2+"/diff", "overlay2/l/"+shortName)
	g.Title(scan.Node{Kind: scan.KindLink, Name: "overlay2/l/" + shortName}, "")
	for name, tc := range map[string]struct {
		script string
		want   []string
	}{
		"bind": {
			`mount --bind overlay2/$1/diff/lib /mnt`,
			[]string{"layer overlay2/" + hex1 + ": mounted at /mnt"},
		},
		"bind of what is removed then": {
			`mkdir overlay2/$1/gone; mount --bind overlay2/$1/gone /mnt; rmdir overlay2/$1/gone`,
			[]string{"layer overlay2/" + hex1 + ": mounted at /mnt"},
		},
		"overlay, as the driver mounts it": {
			`mkdir overlay2/$1/work overlay2/$1/merged 2>/dev/null || true
			mount -t overlay none -o "lowerdir=$PWD/overlay2/l/$3,upperdir=$PWD/overlay2/$1/diff,workdir=$PWD/overlay2/$1/work" /mnt`,
			[]string{"layer overlay2/" + hex1 + ": mounted at /mnt", "link overlay2/l/" + shortName + ": mounted at /mnt"},
		},
		"overlay, with relative names": {
			`mkdir overlay2/$1/work2; cd overlay2
			mount -t overlay none -o "lowerdir=l/$3,upperdir=$1/diff,workdir=$1/work2" /mnt`,
			[]string{"layer overlay2/" + hex1 + ": mounted at /mnt", "link overlay2/l/" + shortName + ": mounted at /mnt"},
		},
		"overlay, below a name with a colon": {
			`mkdir 'a:b, c'; mount --bind overlay2 'a:b, c'; cd 'a:b, c'
			mount -t overlay none -o "lowerdir=$(echo "$PWD" | sed 's/[:,]/\\&/g')/l/$3:$1/diff" /mnt`,
			[]string{
				"layer overlay2/" + hex1 + ": mounted at /mnt", "link overlay2/l/" + shortName + ": mounted at /mnt",
			},
		},
		"a volume":      {`mount --bind volumes/data/_data /mnt`, []string{"volume data: mounted at /mnt"}},
		"the data root": {`mount --bind . .; mount --bind overlay2 overlay2`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			fresh := *in
			graph := scan.NewGraph()
			for n := range g.Nodes {
				graph.Title(n, "")
			}
			pid := inNamespace(t, `cd "$4"; `+tc.script, hex1, hex2, shortName, in.DataRoot)
			note, _ := Mounts.Collect(t.Context(), &fresh, graph) // others' processes may be in doubt
			undoubted(t, graph, pid)
			assert.Assert(t, !strings.HasPrefix(note, "0 "), note)
			assert.DeepEqual(t, mine(graph, pid), tc.want)
		})
	}
}

// A namespace that is seen from inside a jail only may have any mount.
func TestMountsAroundAJail(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	pid := inNamespace(t, `mount --bind "$1" /mnt; mount --bind / /mnt/lib; exec chroot /mnt/lib sh -c 'echo ready; read line'`,
		filepath.Join(in.DataRoot, "overlay2", hex1, "diff"))
	_, err := Mounts.Collect(t.Context(), in, g)
	assert.ErrorContains(t, err, "mount tables could not be read")
	assert.Assert(t, slices.Contains(doubtsOf(g), fmt.Sprintf("/proc/%d/mountinfo: what sh (pid %d) has mounted cannot be read: "+
		"it sees only what is below its own root, and no other process sees the rest of its namespace | "+
		"run as root on the machine itself, or end process %d", pid, pid, pid)), "%v", g.Doubts)
}

// What processes of the system have open and no mount table tells.
func TestProcessesOfTheSystem(t *testing.T) {
	keyOf := func(t *testing.T, in *scan.Input, name string) scan.FileKey {
		t.Helper()
		info, err := in.Tree.Stat(name)
		assert.NilError(t, err)
		return scan.FileKey{Device: info.Stamp.Device, Inode: info.Stamp.Inode}
	}
	collect := func(t *testing.T, in *scan.Input, g *scan.Graph, pid int) (strays []scan.FileKey) {
		t.Helper()
		in.Proc = "/proc"
		_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
		undoubted(t, g, pid)
		for _, s := range g.Host.Strays {
			strays = append(strays, s.FileKey)
		}
		return strays
	}
	file := "overlay2/" + hex1 + "/diff/lib/file"

	t.Run("a shell in a layer", func(t *testing.T) {
		in, g := processRoot(t)
		pid := inNamespace(t, `cd "$1"`, filepath.Join(in.DataRoot, "overlay2", hex1, "diff"))
		collect(t, in, g, pid)
		assert.DeepEqual(t, mine(g, pid), []string{"layer overlay2/" + hex1 + ": working directory"})
	})
	t.Run("chroot in a layer", func(t *testing.T) {
		in, g := processRoot(t)
		layer := filepath.Join(in.DataRoot, "overlay2", hex1, "diff")
		pid := inNamespace(t, `mount --bind / "$1/lib"; mount --bind "$1/lib" /mnt; umount "$1/lib"; cd "$1"; exec chroot . /bin/busybox sh -c 'echo ready; read line'`, busybox(t, layer))
		collect(t, in, g, pid)
		held := heldBy(g)
		assert.Assert(t, slices.ContainsFunc(held, func(line string) bool {
			return strings.HasPrefix(line, "layer overlay2/"+hex1+": ") && strings.HasSuffix(line, fmt.Sprintf("(pid %d)", pid))
		}), "%v", held)
	})
	t.Run("open on a mount that was taken away", func(t *testing.T) {
		in, g := processRoot(t)
		pid := inNamespace(t, `mount --bind "$1" /mnt; exec 7</mnt/file; umount -l /mnt`, filepath.Join(in.DataRoot, filepath.Dir(file)))
		strays := collect(t, in, g, pid)
		assert.Equal(t, len(heldBy(g)), 0, "no path tells")
		assert.Assert(t, slices.Contains(strays, keyOf(t, in, file)), "%v", strays)
	})
	t.Run("open and removed, on a mount that was taken away", func(t *testing.T) {
		in, g := processRoot(t)
		key := keyOf(t, in, file)
		pid := inNamespace(t, `mount --bind "$1" /mnt; exec 7</mnt/file; umount -l /mnt; rm "$1/file"`, filepath.Join(in.DataRoot, filepath.Dir(file)))
		assert.Assert(t, !slices.Contains(collect(t, in, g, pid), key), "nothing on disk leads to it")
	})
	t.Run("mapped, on a mount that was taken away", func(t *testing.T) {
		in, g := processRoot(t)
		layer := busybox(t, filepath.Join(in.DataRoot, "overlay2", hex1, "diff"))
		pid := inNamespace(t, `mount --bind "$1" /mnt; exec 9</mnt/bin; cd /; umount -l /mnt; exec /proc/self/fd/9/busybox sh -c 'exec 9<&-; echo ready; read line'`, layer)
		strays := collect(t, in, g, pid)
		assert.Equal(t, len(heldBy(g)), 0, "no path tells")
		assert.Assert(t, slices.Contains(strays, keyOf(t, in, "overlay2/"+hex1+"/diff/bin/busybox")), "%v", strays)
	})
	t.Run("working directory on a mount that was taken away", func(t *testing.T) {
		in, g := processRoot(t)
		pid := inNamespace(t, `mount --bind "$1" /mnt; cd /mnt; umount -l /mnt`, filepath.Join(in.DataRoot, "overlay2", hex2, "diff"))
		strays := collect(t, in, g, pid)
		assert.Equal(t, len(heldBy(g)), 1, "%v", heldBy(g))
		assert.Equal(t, g.Marks[0].Node, scan.Node{Kind: scan.KindLayer, Name: "overlay2/" + hex2})
		assert.Assert(t, slices.Contains(strays, keyOf(t, in, "overlay2/"+hex2+"/diff")))
	})
	t.Run("a container's root is the mount's", func(t *testing.T) {
		in, g := processRoot(t)
		layer := busybox(t, filepath.Join(in.DataRoot, "overlay2", hex1, "diff"))
		pid := inNamespace(t, `mount --bind "$1" /mnt; mkdir -p /mnt/old; cd /mnt; pivot_root . old; exec /bin/busybox sh -c 'busybox umount -l /old; echo ready; read line'`, layer)
		strays := collect(t, in, g, pid)
		for _, name := range []string{"", "/diff", "/diff/bin/busybox"} {
			assert.Assert(t, !slices.Contains(strays, keyOf(t, in, "overlay2/"+hex1+name)), "the mount table tells")
		}
		mounts := scan.NewGraph()
		mounts.Title(scan.Node{Kind: scan.KindLayer, Name: "overlay2/" + hex1}, "")
		_, _ = Mounts.Collect(t.Context(), in, mounts) // others' processes may be in doubt
		undoubted(t, mounts, pid)
		assert.DeepEqual(t, heldBy(mounts), []string{fmt.Sprintf("layer overlay2/%s: mounted at / by busybox (pid %d)", hex1, pid)})
	})
}

// busybox puts a program that needs no libraries into a directory.
func busybox(t testing.TB, dir string) string {
	t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skip("needs a static busybox")
	}
	assert.NilError(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "bin/busybox"), program, 0o755))
	return dir
}

// An overlay that is mounted nowhere any more does not tell its layers.
func TestProcessesOverlayTakenAway(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	pid := inNamespace(t, `mount -t overlay none -o "lowerdir=$1/$2/diff:$1/$3/diff" /mnt; cd /mnt; umount -l /mnt`,
		filepath.Join(in.DataRoot, "overlay2"), hex1, hex2)
	_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
	want := fmt.Sprintf("/proc/%d/cwd: sh (pid %d) uses an overlay that is mounted nowhere any more: its layers cannot be told | end process %d", pid, pid, pid)
	i := slices.Index(doubtsOf(g), want)
	assert.Assert(t, i >= 0, "%v", g.Doubts)
	assert.DeepEqual(t, g.Doubts[i].Scope.Types, []scan.Type{scan.TypeLayer, scan.TypeImageLayer, scan.TypeRWLayer})

	t.Run("mounted", func(t *testing.T) {
		in, g := processRoot(t)
		in.Proc = "/proc"
		pid := inNamespace(t, `mount -t overlay none -o "lowerdir=$1/$2/diff:$1/$3/diff" /mnt; cd /mnt`,
			filepath.Join(in.DataRoot, "overlay2"), hex1, hex2)
		_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
		undoubted(t, g, pid)
	})
}

// A descriptor keeps a namespace that no process lives in any more.
func TestProcessesKeepANamespace(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	pid := inNamespace(t, `exec 3<&0; unshare --mount cat <&3 & p=$!
		while [ "$(readlink /proc/$p/ns/mnt)" = "$(readlink /proc/$$/ns/mnt)" ]; do :; done
		exec 7<"/proc/$p/ns/mnt"; kill $p; wait $p || true`)
	_, err := Processes.Collect(t.Context(), in, g)
	assert.ErrorContains(t, err, "mount namespaces without a process could not be read")
	assert.Assert(t, slices.Contains(doubtsOf(g), fmt.Sprintf(
		"/proc/%d/fd/7: a mount namespace without a process is kept by a descriptor of sh (pid %d): its mounts cannot be seen | end process %d", pid, pid, pid)), "%v", g.Doubts)
}

// Loop devices keep their file open, and no process does.
func TestProcessesLoopDevice(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	in, g := processRoot(t)
	in.Proc = "/proc"
	image := filepath.Join(in.DataRoot, "overlay2", hex1, "diff/lib/file")
	assert.NilError(t, os.Truncate(image, 1<<20))
	out, err := exec.Command("losetup", "--show", "--find", image).CombinedOutput()
	if err != nil {
		t.Skipf("needs loop devices: %s", out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() { assert.Check(t, exec.Command("losetup", "--detach", device).Run()) })
	_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
	assert.DeepEqual(t, heldBy(g), []string{"layer overlay2/" + hex1 + ": open as " + filepath.Base(device)})
}
