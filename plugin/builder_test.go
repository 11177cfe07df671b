package plugin

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

func TestBuilderInstance(t *testing.T) {
	dir := t.TempDir()
	assert.Equal(t, builderInstance(dir, "buildx_buildkit_mine0_state"), "")
	assert.NilError(t, os.Mkdir(filepath.Join(dir, "instances"), 0o700))
	file := filepath.Join(dir, "instances", "mine")
	for name, text := range map[string]string{
		file:              `{"Name":"mine","Driver":"docker-container","Nodes":[{"Name":"mine0"},{"Name":"mine1"}]}`,
		file + "-damaged": `{"Nodes":`,
	} {
		assert.NilError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	assert.Equal(t, builderInstance(dir, "buildx_buildkit_mine1_state"), file)
	assert.Equal(t, builderInstance(dir, "buildx_buildkit_mine2_state"), "")
	assert.Equal(t, builderInstance(dir, "mine1"), "")
}
