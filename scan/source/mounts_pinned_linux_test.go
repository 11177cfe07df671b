package source

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
)

// pinWithLayer is the start of a script for inNamespace: it leaves a namespace
// without a process, pinned at $2/pin, in which the directory $1 is mounted.
// Some kernels get the order of namespaces made on different processors wrong,
// and refuse to pin what seems to be older; it tries each processor.
const pinWithLayer = `
	mount -t tmpfs none "$2"; mount --make-private "$2"; touch "$2/pin"
	for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		! taskset -c $((try % $(nproc))) unshare --mount="$2/pin" --propagation private mount --bind "$1" /mnt 2>&- || break
	done
	mountpoint -q "$2/pin"
	`

// keptBy are the marks of what is mounted in a namespace that something keeps.
func keptBy(g *scan.Graph, keeper string) []string {
	var lines []string
	for _, line := range heldBy(g) {
		if rest, ok := strings.CutSuffix(line, " in the namespace "+keeper); ok {
			lines = append(lines, rest)
		}
	}
	return lines
}

func TestMountsOfAPinnedNamespace(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	layer := filepath.Join(in.DataRoot, "overlay2", hex1, "diff")

	pid := inNamespace(t, pinWithLayer, layer, dir)
	_, _ = Mounts.Collect(t.Context(), in, g) // others' processes may be in doubt
	undoubted(t, g, pid)
	assert.DeepEqual(t, keptBy(g, "pinned at "+dir+"/pin"), []string{"layer overlay2/" + hex1 + ": mounted at /mnt"})
	assert.Equal(t, g.Marks[0].Where, fmt.Sprintf("/proc/%d/root%s/pin", pid, dir))
}

// A descriptor that was opened at the pin has the pin's path, or none.
func TestProcessesKeepAPinnedNamespace(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	layer := filepath.Join(in.DataRoot, "overlay2", hex2, "diff")

	pid := inNamespace(t, pinWithLayer+`exec 9<"$2/pin"; umount -l "$2/pin"`, layer, t.TempDir())
	_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
	undoubted(t, g, pid)
	keeper := fmt.Sprintf("kept by a descriptor of sh (pid %d)", pid)
	assert.DeepEqual(t, keptBy(g, keeper), []string{"layer overlay2/" + hex2 + ": mounted at /mnt"})
}

// An overlay that is mounted behind a descriptor is no riddle.
func TestOverlayBehindADescriptor(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	pid := inNamespace(t, `
		mount -t overlay none -o "lowerdir=$3/diff:$4/diff" "$1"
		`+pinWithLayer+`exec 9<"$2/pin" 8<"$1"; umount -l "$2/pin" "$1"`,
		t.TempDir(), t.TempDir(), filepath.Join(in.DataRoot, "overlay2", hex1), filepath.Join(in.DataRoot, "overlay2", hex2))
	_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
	undoubted(t, g, pid)
	keeper := fmt.Sprintf("kept by a descriptor of sh (pid %d)", pid)
	assert.Equal(t, len(keptBy(g, keeper)), 2, "%v", heldBy(g))
}

// What lies over the pin is not it.
func TestMountsOfACoveredPin(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	pid := inNamespace(t, pinWithLayer+`mount --bind /dev/null "$2/pin"`, in.DataRoot, dir)
	_, err = Mounts.Collect(t.Context(), in, g)
	assert.ErrorContains(t, err, "mount namespaces without a process could not be read")
	var mine []scan.Doubt
	for _, d := range g.Doubts {
		if strings.HasPrefix(d.Where, fmt.Sprintf("/proc/%d/", pid)) {
			mine = append(mine, d)
		}
	}
	assert.Equal(t, len(mine), 1, "%v", g.Doubts)
	assert.DeepEqual(t, mine[0].Scope, scan.Scope{})
	assert.Equal(t, mine[0].Hint, "umount "+dir+"/pin")
	said := fmt.Sprintf("a mount namespace without a process is pinned at %s/pin: its mounts cannot be seen: /proc/%d/root", dir, pid)
	assert.Assert(t, strings.HasPrefix(mine[0].Err, said), mine[0].Err)
}

// Where the rights are missing, to have them is the better remedy.
func TestUnseenNamespacesWithoutTheRights(t *testing.T) {
	_, g := processRoot(t)
	err := unseenNamespaces(g, scan.SourceMounts, []mount.Pin{
		{Path: "/run/pin", View: mount.View{File: "/proc/1/mountinfo"}, Err: &os.PathError{Op: "open", Path: "/x", Err: fs.ErrPermission}},
	})
	assert.ErrorContains(t, err, "1 mount namespaces without a process")
	assert.DeepEqual(t, doubtsOf(g), []string{
		"/proc/1/mountinfo: a mount namespace without a process is pinned at /run/pin: its mounts cannot be seen: " +
			"open /x: permission denied | run as root on the machine itself, or umount /run/pin",
	})
}
