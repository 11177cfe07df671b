package testkit

import (
	"os"
	"path/filepath"
)

// QuietProc makes the process table of a machine on which nothing but an init
// process runs, which has nothing mounted or open.
func QuietProc(dir string) error {
	for _, thread := range []string{"1", "1/task/1"} {
		for name, content := range map[string]string{
			"mountinfo": "1 1 0:1 / / rw - rootfs none rw\n", "comm": "init\n", "cmdline": "init\x00", "maps": "",
			"stat": "1 (init) S 0 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0 0\n",
		} {
			if err := writeFile(filepath.Join(dir, thread, name), content); err != nil {
				return err
			}
		}
		for link, target := range map[string]string{"ns/mnt": "mnt:[1]", "root": "/", "cwd": "/", "exe": "/sbin/init"} {
			path := filepath.Join(dir, thread, link)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.Symlink(target, path); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Join(dir, thread, "fd"), 0o755); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"locks": "", "swaps": "Filename Type Size Used Priority\n", "stat": "btime 1700000000\n",
	} {
		if err := writeFile(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o600)
}
