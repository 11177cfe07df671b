//go:build linux

package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// install puts Debian packages in place. The error says how to do it by hand.
func install(ctx context.Context, packages ...string) error {
	names := strings.Join(packages, " ")
	byHand := "apt-get update && apt-get install -y --no-install-recommends " + names
	if os.Geteuid() != 0 {
		return fmt.Errorf("of %s something is missing; as root: %s", names, byHand)
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("of %s something is missing and there is no apt-get: install it by hand", names)
	}
	for _, action := range [][]string{{"update"}, append([]string{"install", "-y", "--no-install-recommends"}, packages...)} {
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
