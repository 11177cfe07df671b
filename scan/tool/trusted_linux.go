package tool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// trusted checks that nobody but root can have put a program in its place.
func trusted(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !info.Mode().IsRegular():
		return errors.New("is no program")
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("belongs to user %d: only root's programs are run", st.Uid)
	case info.Mode().Perm()&0o022 != 0:
		return errors.New("can be changed by others than root, so it is not run")
	case info.Mode().Perm()&0o111 == 0:
		return errors.New("cannot be run")
	}
	return nil
}
