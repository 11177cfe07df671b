//go:build linux

package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

// Containers have no network at all: without a bridge dockerd would write
// that into their settings at their first start, which is not the change that
// tests look for.

// Up starts a container that stays up, and returns its id.
func (d *Daemon) Up(t TB, args ...string) string {
	t.Helper()
	// Its command is process 1, which ignores SIGTERM: without this every
	// stop of the daemon would wait ten seconds.
	return d.Docker(t, slices.Concat([]string{"run", "--detach", "--network=none", "--stop-signal=KILL"}, args)...)
}

// Down runs a container to its end, and returns its id.
func (d *Daemon) Down(t TB, args ...string) string {
	t.Helper()
	id := d.Create(t, args...)
	d.Docker(t, "start", "--attach", id)
	return id
}

// Create makes a container that has never been started, and returns its id.
func (d *Daemon) Create(t TB, args ...string) string {
	t.Helper()
	return d.Docker(t, slices.Concat([]string{"create", "--network=none", "--stop-signal=KILL"}, args)...)
}

// CreateOnImage makes a container of an image that sees another image, or a
// part of it, at /mounted. dockerd has it from 28.0 on, the CLI of Debian has
// no words for it.
func (d *Daemon) CreateOnImage(t TB, image, mounted, part string) string {
	t.Helper()
	c, ctx := d.client(t)
	defer c.Close()
	made, err := c.ContainerCreate(ctx,
		&container.Config{Image: image, Cmd: []string{"sleep", "100000"}, StopSignal: "KILL"},
		&container.HostConfig{NetworkMode: "none", Mounts: []mount.Mount{{
			Type: mount.TypeImage, Source: mounted, Target: "/mounted", ImageOptions: &mount.ImageOptions{Subpath: part},
		}}}, nil, nil, "")
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return made.ID
}

// LiveRestore makes containers outlive the daemon, from its next start on.
func (d *Daemon) LiveRestore(t TB) {
	t.Helper()
	file := filepath.Join(d.Dir, "daemon.json")
	config := map[string]any{}
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err == nil {
		config["live-restore"] = true
		err = os.WriteFile(file, []byte(encode(config)), 0o600)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
}
