package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// buildZFS builds zfs's modules for the kernel of that release, puts them with
// the kernel's own and removes what they were built of. All of it is in the
// directory whole.
func buildZFS(ctx context.Context, whole, release string) error {
	usr := filepath.Join(whole, "usr", "src")
	headers := filepath.Join(usr, "linux-headers-"+release)
	sources, err := filepath.Glob(filepath.Join(usr, "zfs-*"))
	if err != nil || len(sources) != 1 {
		return fmt.Errorf("zfs-dkms: the sources of zfs are %v: %w", sources, err)
	}
	common, err := moveHeaders(headers, usr)
	if err != nil {
		return err
	}
	if err := command(ctx, sources[0], "./configure", "--with-config=kernel", "--with-linux="+common, "--with-linux-obj="+headers); err != nil {
		return err
	}
	if err := command(ctx, sources[0], "make", "-j", strconv.Itoa(runtime.NumCPU())); err != nil {
		return err
	}
	extra := filepath.Join(whole, "usr", "lib", "modules", release, "extra")
	if err := os.Mkdir(extra, 0o755); err != nil {
		return err
	}
	if err := command(ctx, sources[0], "sh", "-ec", `find module -name '*.ko' -exec mv -t "$0" {} + && strip -g "$0"/*`, extra); err != nil {
		return err
	}
	return os.RemoveAll(usr)
}

// moveHeaders makes the kernel's headers work where they are, and returns where
// those are that all of its flavours share.
func moveHeaders(headers, usr string) (common string, err error) {
	file := filepath.Join(headers, "Makefile")
	makefile, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	const include = "include /usr/src/"
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(makefile), []byte(include))
	if !ok {
		return "", fmt.Errorf("%s: %q includes no other", file, makefile)
	}
	other := filepath.Join(usr, string(rest))
	return filepath.Dir(other), os.WriteFile(file, []byte("include "+other+"\n"), 0o600)
}
