//go:build linux

package engine

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// An Engine is one Docker to test with: where its programs are. It is a
// value, so that a suite can run once for each of several.
type Engine struct {
	Name       string // for the names of tests: "debian"
	Dockerd    string
	Containerd string   // the containerd that dockerd starts; "" is the one in PATH
	Docker     string   // the CLI
	Buildx     string   // the buildx plugin; "" where the CLI speaks BuildKit's session itself (before 23.0)
	Busybox    string   // a static busybox, which is what images are made of
	Config     string   // content of daemon.json; "" is {}
	Env        []string // added to the environment of dockerd and of the CLI
}

// Debian is the Docker that Debian and Ubuntu package as docker.io. What is
// missing is installed, which needs root and a package archive; the error
// says what to do by hand.
func Debian(ctx context.Context) (Engine, error) {
	e := Engine{Name: "debian"}
	// Never by PATH: a newer CLI from elsewhere may come first there.
	parts := []part{
		{&e.Dockerd, []string{"/usr/sbin/dockerd", "/usr/bin/dockerd"}, []string{"docker.io"}},
		{&e.Containerd, []string{"/usr/bin/containerd"}, []string{"containerd"}},
		// From Debian 13 on the CLI is a package of its own.
		{&e.Docker, []string{"/usr/bin/docker"}, []string{"docker.io", "docker-cli"}},
		{&e.Busybox, []string{"/bin/busybox", "/usr/bin/busybox"}, []string{"busybox-static"}},
	}
	for _, p := range parts {
		if err := p.find(ctx); err != nil {
			return Engine{}, err
		}
	}
	if !isStatic(e.Busybox) {
		return Engine{}, fmt.Errorf("%s: not static: apt-get install busybox-static", e.Busybox)
	}
	major, err := e.clientMajor(ctx)
	if err != nil {
		return Engine{}, err
	}
	if major >= 23 {
		plugins := []string{"/usr/libexec/docker/cli-plugins/docker-buildx", "/usr/lib/docker/cli-plugins/docker-buildx"}
		if err := (part{&e.Buildx, plugins, []string{"docker-buildx"}}).find(ctx); err != nil {
			return Engine{}, err
		}
	}
	return e, nil
}

// InstallFuseOverlayfs puts in place what the storage driver of that name
// needs.
func InstallFuseOverlayfs(ctx context.Context) error {
	var program string
	return part{&program, []string{"/usr/bin/fuse-overlayfs"}, []string{"fuse-overlayfs"}}.find(ctx)
}

// A part is a program that an engine needs.
type part struct {
	program  *string
	places   []string
	packages []string // each is tried in turn
}

// find sets the program, installing what has it where it is missing.
func (p part) find(ctx context.Context) error {
	*p.program = firstProgram(p.places)
	for _, pkg := range p.packages {
		if *p.program != "" {
			return nil
		}
		if err := install(ctx, pkg); err != nil {
			return err
		}
		*p.program = firstProgram(p.places)
	}
	if *p.program == "" {
		return fmt.Errorf("%s: not there although %s is installed", strings.Join(p.places, " or "), strings.Join(p.packages, ", "))
	}
	return nil
}

func firstProgram(places []string) string {
	for _, p := range places {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

// clientMajor is the first number of the CLI's version.
func (e *Engine) clientMajor(ctx context.Context) (int, error) {
	out, err := exec.CommandContext(ctx, e.Docker, "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("%s --version: %w", e.Docker, err)
	}
	// "Docker version 20.10.24+dfsg1, build 297e128"
	number, _, _ := strings.Cut(strings.TrimPrefix(string(out), "Docker version "), ".")
	major, err := strconv.Atoi(number)
	if err != nil {
		return 0, fmt.Errorf("%s --version: %q: %w", e.Docker, out, err)
	}
	return major, nil
}

// environ is the environment of the engine's programs: nothing of the
// caller's own Docker settings gets through.
func (e *Engine) environ(more ...string) []string {
	dirs := []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}
	if e.Containerd != "" {
		dirs = append([]string{filepath.Dir(e.Containerd)}, dirs...)
	}
	env := []string{"PATH=" + strings.Join(dirs, ":"), "LC_ALL=C", "HOME=/nonexistent"}
	return append(append(env, e.Env...), more...)
}

// isStatic reports whether the program runs in an image that has nothing
// else: it asks for no dynamic loader.
func isStatic(program string) bool {
	f, err := elf.Open(program)
	if err != nil {
		return false
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}
