package source

import (
	"fmt"
	"path"
	"strconv"

	"github.com/docker-orphans/docker-orphans/scan"
)

// compareOpen makes sure that the daemon has the very databases open that were
// read: it goes on with the old ones if somebody removed or replaced them. must
// says that it has them open as long as it runs.
func compareOpen(in *scan.Input, databases []string, must bool, doubt func(where string, err error, hint string)) {
	owner := in.Host.Owner
	if owner == nil || len(databases) == 0 {
		return
	}
	const hint = "restart Docker: it works with files that are not in its data root any more"
	open, err := openFiles(path.Join(in.Proc, strconv.Itoa(owner.PID), "fd"), databases)
	if err != nil {
		doubt(path.Dir(databases[0]), fmt.Errorf("what %s has open: %w", owner.Name, err), "")
		return
	}
	for _, name := range databases {
		info, err := in.Tree.Stat(name)
		if err != nil {
			doubt(name, err, hint)
			continue
		}
		key := scan.FileKey{Device: info.Stamp.Device, Inode: info.Stamp.Inode}
		files := open[name]
		for _, other := range files {
			if other != key {
				doubt(name, fmt.Errorf("%s has another file of this name open", owner.Name), hint)
			}
		}
		if len(files) == 0 && must {
			doubt(name, fmt.Errorf("%s does not have it open", owner.Name), hint)
		}
	}
}
