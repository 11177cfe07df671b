//go:build linux

package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// install puts a Debian package in place. The error says how to do it by hand.
func install(ctx context.Context, pkg string) error {
	byHand := fmt.Sprintf("apt-get update && apt-get install -y --no-install-recommends %s", pkg)
	if os.Geteuid() != 0 {
		return fmt.Errorf("package %s is missing; as root: %s", pkg, byHand)
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("package %s is missing and there is no apt-get: install its programs by hand", pkg)
	}
	for _, action := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", pkg}} {
		// Another apt-get may be at work on a machine that has just booted.
		args := append([]string{"-q", "-o", "DPkg::Lock::Timeout=120"}, action...)
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s\nby hand: %s", strings.Join(action, " "), err, out, byHand)
		}
	}
	return nil
}
