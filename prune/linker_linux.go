package prune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/prune/linked"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/mount"
)

func (d *rootDisk) LinkTree(ctx context.Context, from, to string) (sum linked.Sum, err error) {
	err = d.pair(from, to, func(source, target *os.File) error {
		sum, err = linked.Copy(ctx, source, path.Base(from), target, path.Base(to))
		if err != nil {
			return err
		}
		return unix.Syncfs(int(target.Fd())) // all of it: no fsync of a directory syncs those below
	})
	return sum, err
}

func (d *rootDisk) CompareTree(ctx context.Context, from, copied string) (sum linked.Sum, err error) {
	err = d.pair(from, copied, func(source, target *os.File) error {
		sum, err = linked.Compare(ctx, source, path.Base(from), target, path.Base(copied))
		return err
	})
	return sum, err
}

func (d *rootDisk) HoldsTree(ctx context.Context, from, copied string) error {
	return d.pair(from, copied, func(source, target *os.File) error {
		return linked.Holds(ctx, source, path.Base(from), target, path.Base(copied))
	})
}

// pair opens the directories that two names are in, both on the root's own
// mount.
func (d *rootDisk) pair(a, b string, f func(inA, inB *os.File) error) error {
	inA, err := d.list(path.Dir(a))
	if err != nil {
		return err
	}
	defer inA.Close()
	inB, err := d.list(path.Dir(b))
	if err != nil {
		return err
	}
	defer inB.Close()
	if err := f(inA, inB); err != nil {
		return fmt.Errorf("%s/%w", path.Dir(a), err)
	}
	return nil
}

// list opens a directory on the root's own mount to read it.
func (d *rootDisk) list(name string) (*os.File, error) {
	at, err := d.dir(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer unix.Close(at) // it only led to the directory
	fd, err := d.calls.Dir(at, ".")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (d *rootDisk) Like(from, to string) error {
	a, err := d.list(from)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := d.list(to)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := linked.Like(a, b); err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	return nil
}

// Mounted goes by paths of the file system, which are the same in every
// namespace. Where something is mounted in another namespace is told by the end
// of its path alone.
func (d *rootDisk) Mounted(ctx context.Context, name string) error {
	places, err := mount.PlacesOf(d.proc, d.path)
	if err != nil {
		return err
	}
	within := func(p string) bool { return p == name || strings.HasPrefix(p, name+"/") }
	return unmounted(ctx, d.proc, name, func(m *mountinfo.Info) bool {
		if below, ok := places.Below(m); ok && within(below) {
			return true
		}
		point := mount.Unescape(m.Mountpoint)
		return strings.HasSuffix(point, "/"+name) || strings.Contains(point, "/"+name+"/") ||
			strings.Contains(mount.Unescape(m.VFSOptions), filepath.Join(d.path, name)+"/")
	})
}

// unmounted is an error if any mount, of any namespace, is one that counts; or
// if that cannot be told.
func unmounted(ctx context.Context, proc, name string, counts func(*mountinfo.Info) bool) error {
	var found error
	survey, err := mount.Read(ctx, proc, 0, func(v *mount.View, m *mountinfo.Info) {
		if found == nil && counts(m) {
			found = fmt.Errorf("%s: mounted at %s by %s (pid %d)", name, scan.Printable(m.Mountpoint), v.Name, v.PID)
		}
	})
	switch {
	case err != nil:
		return err
	case found != nil:
		return found
	case len(survey.Problems) > 0:
		return fmt.Errorf("what process %d has mounted cannot be read: %w", survey.Problems[0].View.PID, survey.Problems[0].Err)
	case len(survey.Unseen()) > 0:
		return errors.New("a mount namespace without a process cannot be seen")
	}
	return nil
}
