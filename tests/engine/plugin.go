//go:build linux

package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// BuildPlugin builds the program under test from the checkout that the working
// directory is in, and returns its path in dir.
func BuildPlugin(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "docker-orphans")
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list -m: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/docker-orphans")
	cmd.Dir = strings.TrimSpace(string(module))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/docker-orphans: %w\n%s", err, out)
	}
	return program, nil
}

// InstallPlugin makes `docker orphans` work for this daemon's CLI.
func (d *Daemon) InstallPlugin(t TB, program string) {
	t.Helper()
	if err := os.Symlink(program, filepath.Join(d.Dir, "config", "cli-plugins", "docker-orphans")); err != nil {
		t.Fatalf("%v", err)
	}
}

// An Output is what a program wrote and how it ended.
type Output struct {
	Stdout, Stderr string
	Code           int
}

// Run runs a program in the environment of this daemon's CLI. That it ends
// with an exit status other than zero is a result, not a failure.
func (d *Daemon) Run(t TB, program string, args ...string) Output {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = d.Environ()
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGQUIT) } // a program in Go says what it waits for
	cmd.WaitDelay = patience
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() < 0) {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, &errs)
	}
	return Output{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}
