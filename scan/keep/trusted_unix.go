//go:build unix

package keep

import (
	"fmt"
	"os"
	"syscall"
)

// trusted refuses a list that other users can write, where root runs: they
// would have a say in what is removed.
func trusted(name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 {
		return fmt.Errorf("%s: belongs to another user than root: chown root %s", name, name)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s: other users can write it: chmod go-w %s", name, name)
	}
	return nil
}
