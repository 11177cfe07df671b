package source

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
)

// What got its name when it was removed is as young as that, however old the
// directory is (rule 4).
func TestRenamedIsAsYoungAsItsChange(t *testing.T) {
	root := t.TempDir()
	names := []string{"plugins/" + hex1 + "-removing", "plugins/" + hex2 + "/rootfs-old"}
	putDirs(t, root, append(names, "plugins/"+hex2+"/rootfs")...)
	time.Sleep(20 * time.Millisecond) // a tick of the file system's clock
	for _, name := range names {
		assert.NilError(t, os.Chmod(filepath.Join(root, name), 0o700)) // as a rename does
	}
	in, g := inputOf(t, root, backend.VFS)
	_, err := Downloads.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	for _, name := range names {
		o := g.Object(scan.Node{Kind: scan.KindDownload, Name: name})
		assert.Assert(t, o != nil && o.Note().Created != nil, name)
		assert.Assert(t, o.Stamp.Change.After(o.Stamp.Birth), name)
		assert.Equal(t, *o.Note().Created, o.Stamp.Change, name)
	}
}
