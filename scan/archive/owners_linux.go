package archive

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
)

// owners are the ids that root of a container has on the machine.
type owners struct{ uid, gid uint32 }

// ownersOf tells them by a data root: that of a daemon with userns-remap is
// named for them (moby daemon_unix.go, setupDaemonRoot). Of a rootless daemon
// they cannot be told, and then an image would be other people's.
func ownersOf(root string) (owners, error) {
	if uid, gid, ok := scan.RemappedRoot(filepath.Base(root)); ok {
		return owners{uid, gid}, nil
	}
	var st unix.Stat_t
	if err := unix.Stat(root, &st); err != nil {
		return owners{}, fmt.Errorf("%s: %w", root, err)
	}
	if st.Uid != 0 {
		return owners{}, fmt.Errorf("%s: is the data root of a rootless daemon: who owns a file in its containers cannot be told", root)
	}
	return owners{}, nil
}

// idsMapped is how many ids the containers of a daemon with userns-remap have,
// unless the machine's owner gave them more: those are not known.
const idsMapped = 65536

// inContainer are the ids of a file's owner as its container sees them.
func (o owners) inContainer(st *unix.Stat_t) (uid, gid int, err error) {
	if o == (owners{}) {
		return int(st.Uid), int(st.Gid), nil
	}
	if st.Uid-o.uid >= idsMapped || st.Gid-o.gid >= idsMapped { // also what is below: there are no negative ones
		return 0, 0, fmt.Errorf("belongs to %d:%d, which is none of the containers' ids: those begin at %d:%d", st.Uid, st.Gid, o.uid, o.gid)
	}
	return int(st.Uid - o.uid), int(st.Gid - o.gid), nil
}
