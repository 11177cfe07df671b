//go:build linux

package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// A pin is a program of Latest at the version that is tested.
type pin struct {
	pkg, version string
	flags        string // of go install
	cgo          string // CGO_ENABLED
}

var pins = []pin{
	// What Docker's own builds of it say of themselves: a daemon that does
	// not tell its version is trusted less.
	{"github.com/moby/moby/v2/cmd/dockerd", "v2.0.0-beta.24", "-ldflags=-X=github.com/moby/moby/v2/dockerversion.Version=29.8.0", "0"},
	{"github.com/containerd/containerd/v2/cmd/containerd", "v2.4.2", "", "0"},
	{"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", "v2.4.2", "", "0"},
	// Debian's runc is too old for this containerd.
	{"github.com/opencontainers/runc", "v1.5.2", "-tags=seccomp", "1"},
	{"github.com/docker/buildx/cmd/buildx", "v0.36.0", "", "0"},
}

// graphdrivers makes the newest dockerd keep images in its storage driver, not
// in containerd.
const graphdrivers = `{"features": {"containerd-snapshotter": false}}`

// Latest is the newest Docker, where [InstallLatest] has put it: else the
// error is [fs.ErrNotExist]. Its CLI is Debian's, whose API it speaks. It
// keeps images in storage drivers; without Config, in containerd.
func Latest(ctx context.Context) (Engine, error) {
	dir, err := latestDir()
	if err != nil {
		return Engine{}, err
	}
	if _, err := os.Stat(dir); err != nil {
		return Engine{}, fmt.Errorf("engine latest: %w (make engines)", err)
	}
	e, err := Debian(ctx)
	if err != nil {
		return Engine{}, err
	}
	e.Name, e.Config = "latest", graphdrivers
	e.Dockerd = filepath.Join(dir, "dockerd")
	e.Containerd = filepath.Join(dir, "containerd")
	e.Buildx = filepath.Join(dir, "buildx")
	return e, nil
}

// latestDir is where the programs of these pins are: below
// $DOCKER_ORPHANS_ENGINES, else in the user's cache.
func latestDir() (string, error) {
	parent := os.Getenv("DOCKER_ORPHANS_ENGINES")
	if parent == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("engines: %w: set DOCKER_ORPHANS_ENGINES", err)
		}
		parent = filepath.Join(cache, "docker-orphans", "engines")
	}
	name := sha256.Sum256(fmt.Append(nil, pins))
	return filepath.Join(parent, fmt.Sprintf("latest-%.6x", name)), nil
}

// InstallLatest builds the programs of Latest, which takes some minutes and
// the module proxy, and tells out about it. It does nothing where they are
// there already; they appear all at once or not at all.
func InstallLatest(ctx context.Context, out io.Writer) (err error) {
	dir, err := latestDir()
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		fmt.Fprintf(out, "engine latest: %s\n", dir)
		return nil
	}
	if err := installCompiler(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	made, err := os.MkdirTemp(filepath.Dir(dir), "making")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(made)) }()
	for _, p := range pins {
		begun := time.Now()
		if err := p.install(ctx, made); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %s, %.0f s\n", path.Base(p.pkg), p.version, time.Since(begun).Seconds())
	}
	// Of two that were made at the same time the first stays.
	if err := os.Rename(made, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	fmt.Fprintf(out, "engine latest: %s\n", dir)
	return nil
}

// installCompiler puts in place what runc is built with.
func installCompiler(ctx context.Context) error {
	if _, err := exec.LookPath("gcc"); err == nil && exec.CommandContext(ctx, "pkg-config", "--exists", "libseccomp").Run() == nil {
		return nil
	}
	return install(ctx, "gcc", "libc6-dev", "pkg-config", "libseccomp-dev")
}

// install builds the program into dir.
func (p pin) install(ctx context.Context, dir string) error {
	args := append(append([]string{"install"}, strings.Fields(p.flags)...), p.pkg+"@"+p.version)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir // not in a module
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED="+p.cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s@%s: %w\n%s", p.pkg, p.version, err, out)
	}
	return nil
}
