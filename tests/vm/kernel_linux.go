package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A kernel is Debian's, with the modules and the programs of zfs.
type kernel struct {
	dir     string // where the packages are installed
	release string // as uname -r has it
	image   string
}

// meta is the package that depends on the newest kernel.
const meta = "linux-image-amd64"

// findKernel returns the newest kernel that the package archive has, from the
// user's cache if it is there already.
func findKernel(ctx context.Context, report io.Writer) (*kernel, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", "depends", meta).Output()
	if err != nil {
		return nil, fmt.Errorf("apt-cache depends %s: %w (apt-get update; another architecture has no such kernel)", meta, err)
	}
	_, name, _ := strings.Cut(string(out), "Depends: ")
	name, _, _ = strings.Cut(name, "\n")
	release, ok := strings.CutPrefix(name, "linux-image-")
	if !ok {
		return nil, fmt.Errorf("apt-cache depends %s: %q names no kernel", meta, out)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("the kernel: %w", err)
	}
	k := &kernel{dir: filepath.Join(cache, "docker-orphans", "vm", name+"-zfs"), release: release}
	k.image = filepath.Join(k.dir, "boot", "vmlinuz-"+release)
	if _, err := os.Stat(k.image); err == nil {
		return k, nil
	}
	fmt.Fprintln(report, "vm: installs a kernel, and zfs for it, into the user's cache: once, a quarter of an hour")
	return k, k.make(ctx)
}

// make gets the kernel and zfs. They appear whole or not at all.
func (k *kernel) make(ctx context.Context) (err error) {
	if err := os.MkdirAll(filepath.Dir(k.dir), 0o755); err != nil {
		return err
	}
	making, err := os.MkdirTemp(filepath.Dir(k.dir), "making")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(making)) }()
	root := filepath.Join(making, "root")
	if err := install(ctx, making, root); err != nil {
		return err
	}
	return os.Rename(root, k.dir)
}

// makeInitrd makes the files that the machine boots with: a shell, its first
// process, and the modules in the order in which they are loaded.
func (k *kernel) makeInitrd(ctx context.Context, file string) error {
	dir := file + ".d"
	for _, d := range []string{"bin", "modules", "proc", "sys", "dev", "machine", "zfs", "tests"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "init"), initScript, 0o755); err != nil {
		return err
	}
	needed, err := k.modules(ctx)
	if err != nil {
		return err
	}
	for i, module := range needed {
		if err := copyFile(module, filepath.Join(dir, "modules", fmt.Sprintf("%02d-%s", i, filepath.Base(module))), 0o644); err != nil {
			return err
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	if err := copyFile(busybox, filepath.Join(dir, "bin", "busybox"), 0o755); err != nil {
		return err
	}
	pack := `for name in $(busybox --list); do ln -s busybox "bin/$name" 2>/dev/null || :; done; find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >"$0"`
	sh := exec.CommandContext(ctx, "sh", "-ec", pack, file)
	sh.Dir = dir
	if out, err := sh.CombinedOutput(); err != nil {
		return fmt.Errorf("initrd: %w: %s", err, out)
	}
	return nil
}

// modules lists the files of the modules, each after those that it needs.
// What is part of the kernel itself has none.
func (k *kernel) modules(ctx context.Context) ([]string, error) {
	var files []string
	for _, module := range modules {
		out, err := exec.CommandContext(ctx, "modprobe", "-d", k.dir, "-S", k.release, "--show-depends", module).Output()
		if err != nil {
			return nil, fmt.Errorf("modprobe --show-depends %s: %w: the kernel has no such module", module, err)
		}
		for line := range strings.Lines(string(out)) {
			if file, ok := strings.CutPrefix(strings.TrimSpace(line), "insmod "); ok && !slices.Contains(files, strings.TrimSpace(file)) {
				files = append(files, strings.TrimSpace(file))
			}
		}
	}
	return files, nil
}

func copyFile(from, to string, mode os.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, mode)
}
