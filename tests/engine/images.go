//go:build linux

package engine

import (
	"bytes"
	"io"
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
	return d.build(t, d.classic(name), dockerfile, files)
}

// BuildKit builds an image with BuildKit, always anew, and returns its id.
func (d *Daemon) BuildKit(t TB, name, dockerfile string, files ...File) string {
	t.Helper()
	return d.build(t, d.buildKit(name), dockerfile, files)
}

// BeginBuildKit starts a build that ends only when it is killed.
func (d *Daemon) BeginBuildKit(t TB, name, dockerfile string) *Running {
	t.Helper()
	b := d.buildKit(name)
	return d.begin(t, b.stdin(dockerfile, nil), b.env, b.args...)
}

// A build is the command that makes an image of what it reads.
type build struct {
	name string
	args []string
	env  []string
}

// No network: BuildKit's RUN insists on one that exists.

func (d *Daemon) classic(name string) build {
	return build{name, []string{"build", "--network=none", "--tag", name, "-"}, []string{"DOCKER_BUILDKIT=0"}}
}

func (d *Daemon) buildKit(name string) build {
	args := []string{"build", "--no-cache", "--network=none", "--tag", name, "-"}
	if d.Engine.Buildx != "" {
		args = append([]string{"buildx"}, args...)
	}
	return build{name, args, []string{"DOCKER_BUILDKIT=1"}}
}

func (b build) stdin(dockerfile string, files []File) io.Reader {
	return bytes.NewReader(Tar(append(files, File{Name: "Dockerfile", Data: dockerfile})...))
}

func (d *Daemon) build(t TB, b build, dockerfile string, files []File) string {
	t.Helper()
	if _, err := d.run(b.stdin(dockerfile, files), b.env, b.args...); err != nil {
		t.Fatalf("%v", err)
	}
	return d.Docker(t, "image", "inspect", "--format", "{{.Id}}", b.name)
}
