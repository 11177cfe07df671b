package prune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/docker-orphans/docker-orphans/prune/unlink"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/mount"
)

// RemoveTree clears flags that forbid it: what a layer's files are marked with
// is part of what was decided to go, and a daemon that does not clear them is
// one reason why layers leak.
func (d *rootDisk) RemoveTree(ctx context.Context, name string) (int64, error) {
	if err := d.Mkdir(journal.Deep); err != nil && !errors.Is(err, os.ErrExist) {
		return 0, err
	}
	deep, err := d.open(journal.Deep)
	if err != nil {
		return 0, err
	}
	defer deep.Close()
	dir, err := d.open(path.Dir(name))
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	report, err := d.crew.Remove(ctx, dir, path.Base(name), unlink.Options{
		Mounted: func() error { return mounted(ctx, d.proc, name) }, Trash: deep, ClearFlags: true, Link: true,
	})
	return report.Bytes, err
}

// open opens a directory on the root's own mount.
func (d *rootDisk) open(name string) (*os.File, error) {
	fd, err := d.dir(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// mounted is an error if anything is mounted at or below a name of ours, or
// from there, in any mount namespace; or if that cannot be told (rule 6). Names of runs are unlike any other, so a path that has one is that one,
// from wherever it is seen.
func mounted(ctx context.Context, proc, name string) error {
	in := func(text string) bool {
		text = mount.Unescape(text)
		return strings.HasSuffix(text, "/"+name) || strings.Contains(text, "/"+name+"/")
	}
	return unmounted(ctx, proc, name, func(m *mountinfo.Info) bool { return in(m.Mountpoint) || in(m.Root) || in(m.VFSOptions) })
}
