package archive

import (
	"fmt"
	"os"
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
	if st.Gid != 0 {
		return owners{}, notRemapped(root, st.Gid)
	}
	return owners{}, nil
}

// A remappedError is that of a data root whose containers' ids are not known.
type remappedError struct{ error }

// Hint says what a person can do.
func (remappedError) Hint() string {
	return "give the directory the name that it had, UID.GID; or, if it is none, the group 0"
}

// notRemapped checks that a data root is not one of userns-remap under another
// name. The daemon gives those the group of root in its containers, and gives it
// also to the data root that they are in, whose own containers are not remapped
// (moby daemon_unix.go, setupDaemonRoot).
func notRemapped(root string, group uint32) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, gid, ok := scan.RemappedRoot(e.Name()); ok && gid == group {
			return nil
		}
	}
	return remappedError{fmt.Errorf("%s: has group %d: it is a data root of userns-remap, and its name does not say of which ids", root, group)}
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
