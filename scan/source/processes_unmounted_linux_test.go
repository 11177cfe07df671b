package source

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A statTree runs a function before something is described.
type statTree struct {
	scan.Tree
	before func(name string)
}

func (t statTree) Stat(name string) (scan.Info, error) {
	t.before(name)
	return t.Tree.Stat(name)
}

// What is mounted in a namespace is held by a descriptor of it whoever lives
// there: when the mount tables were read, perhaps nobody did.
func TestProcessesKeepAnInhabitedNamespace(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	pid := inNamespace(t, `unshare --mount sh -c 'mount --bind "$1" /mnt; exec sleep 1000' sh "$1" & p=$!
		while ! grep -q " /mnt " /proc/$p/mountinfo; do :; done
		exec 7<"/proc/$p/ns/mnt"`, filepath.Join(in.DataRoot, "overlay2", hex2, "diff"))
	_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
	undoubted(t, g, pid)
	keeper := fmt.Sprintf("kept by a descriptor of sh (pid %d)", pid)
	assert.DeepEqual(t, keptBy(g, keeper), []string{"layer overlay2/" + hex2 + ": mounted at /mnt"})
}

// A process that keeps a namespace and ends while others are read leaves
// nothing that could not be seen: they are read again, in case it handed the
// namespace on.
func TestProcessesKeepANamespaceNoLonger(t *testing.T) {
	in, g := processRoot(t)
	in.Proc = "/proc"
	keeper := inNamespace(t, `unshare --mount sleep 1000 & p=$!
		while [ "$(readlink /proc/$p/ns/mnt)" = "$(readlink /proc/$$/ns/mnt)" ]; do :; done
		exec 7<"/proc/$p/ns/mnt"; kill $p; wait $p || true`)
	const writeSet = "image/overlay2/layerdb/tmp/write-set-1"
	putFile(t, in.DataRoot, writeSet+"/diff", "")
	inNamespace(t, `exec 7<"$1"`, filepath.Join(in.DataRoot, writeSet, "diff"))
	readings := 0
	in.Tree = statTree{in.Tree, func(name string) {
		if name != writeSet {
			return
		}
		if readings++; readings > 1 {
			return
		}
		assert.NilError(t, unix.Kill(keeper, unix.SIGKILL))
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if _, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/7", keeper)); err == nil {
				return poll.Continue("it has it open")
			}
			return poll.Success()
		})
	}}
	_, _ = Processes.Collect(t.Context(), in, g) // others' processes may be in doubt
	assert.Equal(t, readings, 2)
	undoubted(t, g, keeper)
}
