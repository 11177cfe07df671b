package source

import (
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
	t.Run("open and removed in a layer and on an overlay of it", func(t *testing.T) {
		in, g := processRoot(t)
		layer := filepath.Join(in.DataRoot, "overlay2", hex1)
		pid := inNamespace(t, `mkdir -p "$1/low" "$1/work" "$1/merged"
			exec 7>"$1/diff/gone"; echo 12345 >&7; rm "$1/diff/gone"
			exec 6>"$1/diff/none"; rm "$1/diff/none"
			exec 5>"$1/diff/there"; echo 12345 >&5
			mount -t overlay none -o "lowerdir=$1/low,upperdir=$1/diff,workdir=$1/work" /mnt
			exec 8>/mnt/over; echo 12345 >&8; rm /mnt/over`, layer)
		collect(t, in, g, pid)
		var removed []string
		for _, f := range g.Host.Removed {
			assert.Check(t, f.Bytes > 0, "%v", f)
			if strings.HasSuffix(f.By, fmt.Sprintf("(pid %d)", pid)) {
				removed = append(removed, f.Path)
			}
		}
		slices.Sort(removed)
		assert.DeepEqual(t, removed, []string{"/mnt/over", layer + "/diff/gone"})
	})
	t.Run("run, on a mount that was taken away", func(t *testing.T) {
		in, g := processRoot(t)
		layer := busybox(t, filepath.Join(in.DataRoot, "overlay2", hex1, "diff"))
		pid := inNamespace(t, `mount --bind "$1" /mnt; exec 9</mnt/bin; umount -l /mnt; exec /proc/self/fd/9/busybox sh -c 'exec 9<&-; echo ready; read line'`, layer)
		strays := collect(t, in, g, pid)
		assert.Equal(t, len(heldBy(g)), 0, "no path tells")
		assert.Assert(t, slices.Contains(strays, keyOf(t, in, "overlay2/"+hex1+"/diff/bin/busybox")), "%v", strays)
	})
	t.Run("mapped, on a mount that was taken away", func(t *testing.T) {
		in, g := processRoot(t)
		lib := library(t, filepath.Join(in.DataRoot, "overlay2", hex1, "diff/lib"))
		pid := inNamespace(t, `mount --bind "$1" /mnt; exec 9</mnt; umount -l /mnt
			LD_LIBRARY_PATH=/proc/self/fd/9 exec sh -c 'exec 9<&-; echo ready; read line'`, filepath.Dir(lib))
		strays := collect(t, in, g, pid)
		assert.Equal(t, len(heldBy(g)), 0, "no path tells")
		assert.Assert(t, slices.Contains(strays, keyOf(t, in, "overlay2/"+hex1+"/diff/lib/"+filepath.Base(lib))), "%v", strays)
	})
	t.Run("working directory on a mount that was taken away", func(t *testing.T) {
		in, g := processRoot(t)
		pid := inNamespace(t, `mount --bind "$1" /mnt; cd /mnt; umount -l /mnt`, filepath.Join(in.DataRoot, "overlay2", hex2, "diff"))
		strays := collect(t, in, g, pid)
		assert.Equal(t, len(heldBy(g)), 1, "%v", heldBy(g))
		assert.Equal(t, g.Marks[0].Node, scan.Node{Kind: scan.KindLayer, Name: "overlay2/" + hex2})
		assert.Assert(t, slices.Contains(strays, keyOf(t, in, "overlay2/"+hex2+"/diff")))
	})
	t.Run("the same, while the root of another is a file system that need not answer", func(t *testing.T) {
		if _, err := os.Stat("/dev/fuse"); err != nil {
			t.Skip("needs fuse")
		}
		inNamespace(t, `exec 5<>/dev/fuse; mount -i -t fuse -o fd=5,rootmode=40000,user_id=0,group_id=0 none /`)
		in, g := processRoot(t)
		pid := inNamespace(t, `mount --bind "$1" /mnt; cd /mnt; umount -l /mnt`, filepath.Join(in.DataRoot, "overlay2", hex2, "diff"))
		collect(t, in, g, pid)
		assert.DeepEqual(t, mine(g, pid), []string{"layer overlay2/" + hex2 + ": working directory"})
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

// library puts a copy of the C library into a directory.
func library(t testing.TB, dir string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `ldd "$(command -v sh)" | sed -n 's/.*=> \(.*libc\.[^ ]*\) .*/\1/p'`).Output()
	from := strings.TrimSpace(string(out))
	if err != nil || from == "" {
		t.Skip("needs a shell that is linked at run time")
	}
	data, err := os.ReadFile(from)
	assert.NilError(t, err)
	to := filepath.Join(dir, filepath.Base(from))
	assert.NilError(t, os.WriteFile(to, data, 0o755))
	return to
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
	for name, tc := range map[string]struct{ script, file string }{
		"working directory": {`cd /mnt; umount -l /mnt`, "cwd"},
		"descriptor":        {`exec 7</mnt/lib/file; umount -l /mnt`, "fd/7"},
		"mapping": {`exec 9</mnt/lib; umount -l /mnt
			LD_LIBRARY_PATH=/proc/self/fd/9 exec sh -c 'exec 9<&-; echo ready; read line'`, "map_files/"},
	} {
		t.Run(name, func(t *testing.T) {
			in, g := processRoot(t)
			in.Proc = "/proc"
			library(t, filepath.Join(in.DataRoot, "overlay2", hex1, "diff/lib"))
			pid := inNamespace(t, `mount -t overlay none -o "lowerdir=$1/$2/diff:$1/$3/diff" /mnt; `+tc.script,
				filepath.Join(in.DataRoot, "overlay2"), hex1, hex2)
			_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
			where := fmt.Sprintf("/proc/%d/", pid)
			i := slices.IndexFunc(g.Doubts, func(d scan.Doubt) bool { return strings.HasPrefix(d.Where, where) })
			assert.Assert(t, i >= 0, "%v", g.Doubts)
			d := g.Doubts[i]
			assert.Assert(t, strings.HasPrefix(d.Where, where+tc.file), "%v", d)
			assert.Equal(t, d.Err, fmt.Sprintf("sh (pid %d) uses an overlay that is mounted nowhere any more: its layers cannot be told", pid))
			assert.Equal(t, d.Hint, fmt.Sprintf("end process %d", pid))
			assert.DeepEqual(t, d.Scope.Types, []scan.Type{scan.TypeLayer, scan.TypeImageLayer, scan.TypeRWLayer})
		})
	}

	for name, script := range map[string]string{
		"mounted": `cd /mnt`,
		// Its files then have devices that no mount table has.
		"mounted with layers on several file systems": `umount /mnt; mount -t tmpfs none "$1/$3/diff"
			mount -t overlay none -o "lowerdir=$1/$2/diff:$1/$3/diff" /mnt; exec 7</mnt/lib/file`,
	} {
		t.Run(name, func(t *testing.T) {
			in, g := processRoot(t)
			in.Proc = "/proc"
			pid := inNamespace(t, `mount -t overlay none -o "lowerdir=$1/$2/diff:$1/$3/diff" /mnt; `+script,
				filepath.Join(in.DataRoot, "overlay2"), hex1, hex2)
			_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
			undoubted(t, g, pid)
		})
	}
}

// A process that lets go of such an overlay in a moment, as runc does of the
// one that it seals its program with, is no doubt.
func TestProcessesSealedProgram(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	library(t, filepath.Join(in.DataRoot, "overlay2", hex1, "diff/lib"))
	pid := inNamespace(t, `mount -t overlay none -o "lowerdir=$1/$2/diff:$1/$3/diff" /mnt; exec 7</mnt/lib/file; umount -l /mnt
		(sleep 0.3; kill -USR1 $$) & trap 'exec 7<&-' USR1`, filepath.Join(in.DataRoot, "overlay2"), hex1, hex2)
	_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
	undoubted(t, g, pid)
}

// A descriptor keeps a namespace that no process lives in any more.
func TestProcessesKeepANamespace(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	pid := inNamespace(t, `exec 3<&0; unshare --mount sh -c 'mount --bind "$1" /mnt; exec cat' sh "$1" <&3 & p=$!
		while ! grep -q " /mnt " /proc/$p/mountinfo; do :; done
		exec 7<"/proc/$p/ns/mnt"; kill $p; wait $p || true`, filepath.Join(in.DataRoot, "overlay2", hex2, "diff"))
	_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
	undoubted(t, g, pid)
	keeper := fmt.Sprintf("kept by a descriptor of sh (pid %d)", pid)
	assert.DeepEqual(t, keptBy(g, keeper), []string{"layer overlay2/" + hex2 + ": mounted at /mnt"})
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
