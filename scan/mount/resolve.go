package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"
)

// A Resolver finds out where a path of the machine leads: through symbolic
// links, and through mounts that show part of a directory elsewhere. Of file
// systems that may not answer it asks nothing: what lies there is taken as it
// is named.
type Resolver struct {
	dir    string // the directory that paths may lead into
	root   string // leads to where absolute paths begin
	table  []*mountinfo.Info
	places Places
	silent map[string]bool   // mount points of what may not answer
	known  map[string]string // directories that were resolved before

	readlink func(name string) (string, error)
}

// NewResolver returns a resolver of paths as a process sees them; pid 0 is the
// caller. The process must see the directory where the caller does.
func NewResolver(proc, dir string, pid int) (*Resolver, error) {
	self := proc + "/self"
	r := &Resolver{dir: dir, root: self + "/root", silent: map[string]bool{}, known: map[string]string{"/": "/"}, readlink: os.Readlink}
	if pid != 0 {
		self = proc + "/" + strconv.Itoa(pid)
		r.root = self + "/root"
	}
	var err error
	if r.places, err = PlacesOf(proc, dir); err != nil {
		return nil, err
	}
	if r.table, err = Table(self + "/mountinfo"); err != nil {
		return nil, err
	}
	for _, m := range r.table {
		// The last one covers the others. Where "/" does not answer, nothing runs.
		r.silent[m.Mountpoint] = m.Mountpoint != "/" && (Remote(m) || m.FSType == "autofs")
	}
	return r, nil
}

// Resolve returns where an absolute path leads. If that is in the directory it
// begins with the directory's path, whichever mount it came through. Of a path
// whose end is not there the rest is taken as it is named.
func (r *Resolver) Resolve(name string) (string, error) {
	resolved, err := r.links(path.Clean(name))
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if _, below := within(resolved, r.dir); below {
		return resolved, nil
	}
	if below, ok := r.places.Below(r.on(resolved)); ok {
		return path.Join(r.dir, below), nil
	}
	return resolved, nil
}

// on returns the file system that a resolved path is on, and where on it.
func (r *Resolver) on(name string) *mountinfo.Info {
	found := &mountinfo.Info{}
	longest := -1
	for _, m := range r.table {
		if rest, ok := within(name, m.Mountpoint); ok && len(m.Mountpoint) >= longest {
			longest = len(m.Mountpoint)
			found = &mountinfo.Info{Major: m.Major, Minor: m.Minor, Root: path.Join(m.Root, rest)}
		}
	}
	return found
}

// maxLinks is how many links the kernel follows in one path.
const maxLinks = 40

// links follows the symbolic links of a path, one element after another.
func (r *Resolver) links(name string) (string, error) {
	done, todo := "/", strings.Split(name, "/")
	for followed := 0; len(todo) > 0; {
		element := todo[0]
		todo = todo[1:]
		next := path.Join(done, element)
		if r.silent[next] {
			return path.Join(next, path.Join(todo...)), nil
		}
		if known, ok := r.known[next]; ok || element == ".." {
			if done = next; ok {
				done = known
			}
			continue
		}
		target, err := r.readlink(r.root + next)
		switch {
		case err == nil:
			if followed++; followed > maxLinks {
				return path.Join(next, path.Join(todo...)), nil // leads nowhere
			}
			if path.IsAbs(target) {
				done = "/"
			}
			todo = append(strings.Split(target, "/"), todo...)
		case errors.Is(err, syscall.EINVAL): // no link
			r.known[next] = next
			done = next
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
			return path.Join(next, path.Join(todo...)), nil
		case strings.HasPrefix(next, "/proc/"):
			// What a link there leads to depends on who reads it: in a container's
			// command /proc/1/fd/1 is its own. We cannot follow it, and it is no
			// way into the data root.
			return path.Join(next, path.Join(todo...)), nil
		default:
			return "", err
		}
	}
	return done, nil
}
