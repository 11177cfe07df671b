package plugin

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/flags"
	"github.com/docker/docker/client"
	"gotest.tools/v3/assert"
)

// newCLI is the docker CLI with what it prints on out, a client of no daemon,
// and an empty configuration.
func newCLI(t *testing.T, out io.Writer) *command.DockerCli {
	t.Helper()
	if out == nil {
		out = &bytes.Buffer{}
	}
	nobody, err := client.NewClientWithOpts(client.WithHost("unix://" + filepath.Join(t.TempDir(), "s")))
	assert.NilError(t, err)
	cli, err := command.NewDockerCli(command.WithAPIClient(nobody), command.WithOutputStream(out), command.WithErrorStream(io.Discard))
	assert.NilError(t, err)
	dir := t.TempDir()
	t.Cleanup(func() { config.SetDir(os.Getenv("DOCKER_CONFIG")) })
	assert.NilError(t, cli.Initialize(&flags.ClientOptions{ConfigDir: dir}))
	return cli
}
