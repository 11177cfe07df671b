package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"golang.org/x/sys/unix"
)

// openFiles lists which of some files below the data root, or of their names, a
// process has open, given its fd directory. The path that the kernel tells may
// be that of another mount namespace; its end is not.
func openFiles(fds string, names []string) (map[string][]scan.FileKey, error) {
	entries, err := os.ReadDir(fds)
	if err != nil {
		return nil, err
	}
	open := map[string][]scan.FileKey{}
	for _, e := range entries {
		link := filepath.Join(fds, e.Name())
		target, err := os.Readlink(link)
		if errors.Is(err, fs.ErrNotExist) {
			continue // closed since it was listed
		}
		if err != nil {
			return nil, err
		}
		target = strings.TrimSuffix(target, " (deleted)")
		i := slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(target, "/"+name) })
		if i < 0 {
			continue
		}
		var st unix.Stat_t
		err = unix.Stat(link, &st)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "stat", Path: link, Err: err}
		}
		open[names[i]] = append(open[names[i]], scan.FileKey{Device: uint64(st.Dev), Inode: st.Ino})
	}
	return open, nil
}
