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
		"a volume":      {`mount --bind volumes/data/_data /mnt`, []string{"volume volumes/data: mounted at /mnt"}},
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
