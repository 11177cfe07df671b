//go:build linux

package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/docker/docker/client"
)

// Environ is the environment in which the docker CLI and its plugins speak to
// this daemon and read no configuration of the user's.
func (d *Daemon) Environ() []string {
	return d.Engine.environ(
		"DOCKER_HOST="+d.Host,
		"DOCKER_CONFIG="+filepath.Join(d.Dir, "config"),
		"BUILDX_CONFIG="+filepath.Join(d.Dir, "buildx"),
		"DOCKER_BUILDKIT=0", // builds that want BuildKit say so
	)
}

// Command is a docker command for this daemon.
func (d *Daemon) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.Engine.Docker, args...)
	cmd.Env = d.Environ()
	return cmd
}

// Try runs a docker command and returns what it wrote to standard output, and
// as its error what it wrote to standard error.
func (d *Daemon) Try(stdin io.Reader, args ...string) (string, error) {
	return d.run(stdin, nil, args...)
}

func (d *Daemon) run(stdin io.Reader, env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := d.Command(ctx, args...)
	cmd.Env = append(cmd.Env, env...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// A Running is a docker command that has been started.
type Running struct {
	cmd  *exec.Cmd
	args []string
	out  bytes.Buffer
}

// Begin starts a docker command.
func (d *Daemon) Begin(t TB, stdin io.Reader, args ...string) *Running {
	t.Helper()
	return d.begin(t, stdin, nil, args...)
}

func (d *Daemon) begin(t TB, stdin io.Reader, env []string, args ...string) *Running {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	r := &Running{cmd: d.Command(ctx, args...), args: args}
	r.cmd.Env = append(r.cmd.Env, env...)
	// A group: the CLI may have started a plugin.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.cmd.Cancel = func() error { return unix.Kill(-r.cmd.Process.Pid, unix.SIGKILL) }
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = stdin, &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return r
}

// Finish waits for the end of what must end well.
func (r *Running) Finish(t TB) {
	t.Helper()
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(r.args, " "), err, &r.out)
	}
}

// Fail waits for the end of what must not have been done before its daemon
// was gone.
func (r *Running) Fail(t TB) {
	t.Helper()
	if err := r.cmd.Wait(); err == nil {
		t.Fatalf("docker %s: was done before the kill: %s", strings.Join(r.args, " "), &r.out)
	}
}

// Cut ends it as if its terminal had gone.
func (r *Running) Cut(t TB) {
	t.Helper()
	if err := r.cmd.Cancel(); err != nil {
		t.Fatalf("docker %s: %v", strings.Join(r.args, " "), err)
	}
	r.Fail(t)
}

// Docker runs a docker command that must succeed and returns its output.
func (d *Daemon) Docker(t TB, args ...string) string {
	t.Helper()
	return d.DockerIn(t, nil, args...)
}

// DockerIn is Docker with a standard input.
func (d *Daemon) DockerIn(t TB, stdin io.Reader, args ...string) string {
	t.Helper()
	out, err := d.Try(stdin, args...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

// Lines runs a docker command that lists things, one a line.
func (d *Daemon) Lines(t TB, args ...string) []string {
	t.Helper()
	return strings.FieldsFunc(d.Docker(t, args...), func(r rune) bool { return r == '\n' })
}

// client speaks to the daemon without a program in between, which is what
// makes reading a whole state affordable after every test. The context ends
// what hangs.
func (d *Daemon) client(t TB) (*client.Client, context.Context) {
	t.Helper()
	c, err := client.NewClientWithOpts(client.WithHost(d.Host), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatalf("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	return c, ctx
}
