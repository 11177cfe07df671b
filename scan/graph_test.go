package scan

import (
	"encoding/json"
	"testing"
	"unsafe"

	"gotest.tools/v3/assert"
)

// A thing lies at its name unless somebody noted that it lies elsewhere.
func TestPaths(t *testing.T) {
	o := &Object{Node: Node{KindLayer, "aufs/diff/a"}}
	assert.DeepEqual(t, o.Paths(), []string{"aufs/diff/a"})
	assert.Equal(t, o.Path(), "aufs/diff/a")

	o.Annotate().Paths = []string{"trash/a", "trash/b"}
	data, err := json.Marshal(o)
	assert.NilError(t, err)
	var read Object
	assert.NilError(t, json.Unmarshal(data, &read))
	assert.DeepEqual(t, read.Paths(), []string{"trash/a", "trash/b"})
	assert.Equal(t, read.Path(), "trash/a")

	assert.NilError(t, json.Unmarshal([]byte(`{"name":"a","notes":{"paths":[]}}`), &read))
	assert.Equal(t, read.Path(), "a")
}

// A host can have a million objects.
func TestObjectIsSmall(t *testing.T) {
	size := unsafe.Sizeof(Object{})
	assert.Assert(t, size <= 160, "%d bytes", size)
}
