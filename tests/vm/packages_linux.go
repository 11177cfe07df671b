package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// packages are what the virtual machine has that this one may not: a kernel,
// and zfs for it. The modules of zfs are built when its package is installed.
var packages = []string{meta, "linux-headers-amd64", "zfs-dkms", "zfsutils-linux"}

// install installs the packages into a directory of their own, as mmdebstrap
// does: of the archive that this machine has, and its part contrib, where zfs is.
// What the machine itself has stays as it is.
func install(ctx context.Context, dir, root string) error {
	sources, err := contrib(dir)
	if err != nil {
		return err
	}
	suite, err := exec.CommandContext(ctx, "sh", "-ec", `. /etc/os-release; echo -n "$VERSION_CODENAME"`).Output()
	if err != nil {
		return fmt.Errorf("os-release: %w", err)
	}
	// How this machine reaches the archive: proxies, an archive of another day.
	options, err := exec.CommandContext(ctx, "apt-config", "dump", "Acquire").Output()
	if err != nil {
		return fmt.Errorf("apt-config: %w", err)
	}
	options = append(options, "APT::Sandbox::User \"root\";\n"...) // no other user can write here
	file := filepath.Join(dir, "apt.conf")
	if err := os.WriteFile(file, options, 0o600); err != nil {
		return err
	}
	args := append([]string{"--variant=apt", "--aptopt=" + file, "--include=" + strings.Join(packages, ","), string(suite), root}, sources...)
	return command(ctx, "", "mmdebstrap", args...)
}

// contrib returns lists of packages like those of this machine, with contrib.
func contrib(dir string) ([]string, error) {
	var files []string
	for _, pattern := range []string{"sources.list", "sources.list.d/*.list", "sources.list.d/*.sources"} {
		found, err := filepath.Glob("/etc/apt/" + pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range found {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			if !components.Match(text) {
				continue // not of the distribution
			}
			files = append(files, filepath.Join(dir, filepath.Base(file)))
			if err := os.WriteFile(files[len(files)-1], components.ReplaceAll(text, []byte("$1 contrib")), 0o600); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// components are the lines that end with what is wanted of an archive.
var components = regexp.MustCompile(`(?m)^(Components:.*\bmain\b.*|deb\s.*\bmain\b.*)$`)
