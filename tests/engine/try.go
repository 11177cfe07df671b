//go:build linux

package engine

import "bytes"

// TryBuild is Build or BuildKit, whose failure is a result.
func (d *Daemon) TryBuild(buildkit bool, name, dockerfile string, files ...File) error {
	env := []string{"DOCKER_BUILDKIT=0"}
	if buildkit {
		env = []string{"DOCKER_BUILDKIT=1"}
	}
	input := Tar(append(files, File{Name: "Dockerfile", Data: dockerfile})...)
	_, err := d.run(bytes.NewReader(input), env, "build", "--network=none", "--quiet", "--tag", name, "-")
	return err
}
