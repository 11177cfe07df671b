package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// unpack gets the packages of the kernel and of zfs, and what its modules are
// built with, into the directory whole. Nothing is installed.
func unpack(ctx context.Context, dir, whole, release string) error {
	archive, err := contrib(ctx, dir)
	if err != nil {
		return err
	}
	headers := "linux-headers-" + release
	kernels, err := depends(ctx, archive, headers)
	if err != nil {
		return err
	}
	libraries, err := depends(ctx, archive, "zfsutils-linux")
	if err != nil {
		return err
	}
	// The others are on each machine.
	libraries = slices.DeleteFunc(libraries, func(name string) bool { return !strings.HasSuffix(name, "linux") })
	names := slices.Concat([]string{"linux-image-" + release, headers, "zfs-dkms", "zfsutils-linux"}, kernels, libraries)
	debs := filepath.Join(dir, "debs")
	if err := os.Mkdir(debs, 0o755); err != nil {
		return err
	}
	if err := command(ctx, debs, "apt-get", slices.Concat(archive, []string{"download"}, names)...); err != nil {
		return err
	}
	// Some packages have files in /lib, as if that were no link to /usr/lib.
	if err := os.MkdirAll(filepath.Join(whole, "usr"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"bin", "lib", "sbin"} {
		if err := os.Mkdir(filepath.Join(whole, "usr", name), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+name, filepath.Join(whole, name)); err != nil {
			return err
		}
	}
	const each = `for deb in "$0"/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink; done`
	return command(ctx, whole, "sh", "-ec", each, debs)
}

// contrib makes a list of packages of its own, with the part of the archive in
// which zfs is, and returns the options of apt-get for it. What the machine's
// own apt-get knows stays as it is.
func contrib(ctx context.Context, dir string) ([]string, error) {
	sources := filepath.Join(dir, "sources")
	for _, d := range []string{sources, filepath.Join(dir, "lists", "partial"), filepath.Join(dir, "cache")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	var files []string
	for _, pattern := range []string{"sources.list", "sources.list.d/*.list", "sources.list.d/*.sources"} {
		found, err := filepath.Glob("/etc/apt/" + pattern)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(sources, filepath.Base(file)), addContrib(text), 0o600); err != nil {
			return nil, err
		}
	}
	options := []string{
		"-q", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=" + sources,
		"-o", "Dir::State::lists=" + filepath.Join(dir, "lists"), "-o", "Dir::Cache=" + filepath.Join(dir, "cache"),
		"-o", "APT::Sandbox::User=root", // no other user can write here
	}
	return options, command(ctx, "", "apt-get", append(options, "update")...)
}

// components are the lines that end with what is wanted of an archive.
var components = regexp.MustCompile(`(?m)^(Components:.*\bmain\b.*|deb\s.*\smain\b.*)$`)

func addContrib(sources []byte) []byte { return components.ReplaceAll(sources, []byte("$1 contrib")) }

// depends lists what a package depends on.
func depends(ctx context.Context, archive []string, name string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", slices.Concat(archive, []string{"depends", name})...).Output()
	if err != nil {
		return nil, fmt.Errorf("apt-cache depends %s: %w", name, err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if on, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok {
			names = append(names, on)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("apt-cache depends %s: on nothing: %q", name, out)
	}
	return names, nil
}
