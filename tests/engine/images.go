//go:build linux

package engine

import (
	"bytes"
	"os"
	"strings"
)

// applets are the commands that the images here have.
var applets = []string{"sh", "cat", "echo", "head", "mkdir", "sleep", "true"}

// Base is the content of a small image that can run commands.
func (d *Daemon) Base(t TB, more ...File) []File {
	t.Helper()
	busybox, err := os.ReadFile(d.Engine.Busybox)
	if err != nil {
		t.Fatalf("%v", err)
	}
	files := []File{{Name: "bin/"}, {Name: "bin/busybox", Data: string(busybox)}}
	for _, a := range applets {
		files = append(files, File{Name: "bin/" + a, Link: "busybox"})
	}
	return append(files, more...)
}

// Import makes an image of one layer and returns its id.
func (d *Daemon) Import(t TB, name string, files ...File) string {
	t.Helper()
	return d.DockerIn(t, bytes.NewReader(Tar(files...)), "import", "-", name)
}

// Load loads an archive and returns the image's id.
func (d *Daemon) Load(t TB, archive []byte) string {
	t.Helper()
	out := d.DockerIn(t, bytes.NewReader(archive), "load", "--quiet")
	_, name, _ := strings.Cut(out, ": ") // "Loaded image: NAME", "Loaded image ID: sha256:…"
	return d.Docker(t, "image", "inspect", "--format", "{{.Id}}", name)
}

// Build builds an image with the classic builder and returns its id.
func (d *Daemon) Build(t TB, name, dockerfile string, files ...File) string {
	t.Helper()
	return d.build(t, "0", name, dockerfile, files)
}

// BuildKit builds an image with BuildKit, always anew, and returns its id.
func (d *Daemon) BuildKit(t TB, name, dockerfile string, files ...File) string {
	t.Helper()
	return d.build(t, "1", name, dockerfile, files, "--no-cache")
}

func (d *Daemon) build(t TB, buildkit, name, dockerfile string, files []File, more ...string) string {
	t.Helper()
	input := Tar(append(files, File{Name: "Dockerfile", Data: dockerfile})...)
	// No network: BuildKit's RUN insists on one that exists.
	args := append([]string{"build", "--network=none", "--tag", name}, more...)
	if _, err := d.run(bytes.NewReader(input), []string{"DOCKER_BUILDKIT=" + buildkit}, append(args, "-")...); err != nil {
		t.Fatalf("%v", err)
	}
	return d.Docker(t, "image", "inspect", "--format", "{{.Id}}", name)
}
