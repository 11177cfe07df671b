package plugin

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestVersion(t *testing.T) {
	oldVersion, oldCommit := Version, Commit
	t.Cleanup(func() { Version, Commit = oldVersion, oldCommit })
	Version, Commit = "v1.2.3", "abc"

	var out bytes.Buffer
	assert.NilError(t, runVersion(&out, ""))
	assert.Check(t, strings.HasPrefix(out.String(), "Version:    v1.2.3\nCommit:     abc\nGo version: "+runtime.Version()+"\nOS/Arch:    "), out.String())

	out.Reset()
	assert.NilError(t, runVersion(&out, "json"))
	fields := map[string]string{}
	assert.NilError(t, json.Unmarshal(out.Bytes(), &fields))
	assert.DeepEqual(t, fields, map[string]string{"Version": "v1.2.3", "Commit": "abc", "GoVersion": runtime.Version(), "Os": runtime.GOOS, "Arch": runtime.GOARCH})

	out.Reset()
	assert.NilError(t, runVersion(&out, "{{.Version}}"))
	assert.Equal(t, out.String(), "v1.2.3\n")
	for _, wrong := range []string{"{{.Nope}}", "{{"} {
		assert.Equal(t, exit(&bytes.Buffer{}, runVersion(&out, wrong)), exitUsage)
	}
}

// A build without the linker's word still says something.
func TestVersionFallsBack(t *testing.T) {
	b := currentBuild()
	assert.Check(t, b.Version != "" && b.Commit != "")
}
