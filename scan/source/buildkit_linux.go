package source

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"golang.org/x/sys/unix"
)

// openFiles lists BuildKit's databases that a process has open, given its fd
// directory, by their names below the data root. The path that the kernel
// tells may be that of another mount namespace; its last two elements are not.
func openFiles(fds string) (map[string][]scan.FileKey, error) {
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
		if path.Base(path.Dir(target)) != buildDir {
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
		name := path.Join(buildDir, path.Base(target))
		open[name] = append(open[name], scan.FileKey{Device: uint64(st.Dev), Inode: st.Ino})
	}
	return open, nil
}
