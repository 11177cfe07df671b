package plugin

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/space"
)

func TestAboutFileSystem(t *testing.T) {
	assert.Equal(t, about(space.FileSystem{Size: 10e9, Used: 6e9, Available: 35e8}),
		"a file system of 10GB, of which 6GB are used, and 500MB are reserved for root")
	assert.Equal(t, about(space.FileSystem{Size: 10e9, Used: 6e9, Available: 4e9}), "a file system of 10GB, of which 6GB are used")
}
