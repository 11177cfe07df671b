package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
)

func TestSystem(t *testing.T) {
	layer := "layer overlay2/" + hex2
	for name, tc := range map[string]struct {
		make  func(t *testing.T, machine, root string)
		want  string // the one mark, or ""
		doubt string // the file in doubt
	}{
		"a machine without any": {func(*testing.T, string, string) {}, "", ""},
		"mounted at boot": {func(t *testing.T, machine, root string) {
			putFile(t, machine, "etc/fstab", "nas:/x "+root+"/overlay2/"+hex2+"/diff/mnt nfs noauto 0 0\n")
		}, layer, ""},
		"an option": {func(t *testing.T, machine, root string) {
			putFile(t, machine, "etc/fstab", "overlay /srv overlay lowerdir=/a:"+root+"/overlay2/"+hex2+"/diff 0 0")
		}, layer, ""},
		"exported now": {func(t *testing.T, machine, root string) {
			putFile(t, machine, "var/lib/nfs/etab", root+"/overlay2/"+hex2+"\t*(rw,sync)\n")
		}, layer, ""},
		"the data root": {func(t *testing.T, machine, root string) {
			putFile(t, machine, "etc/fstab", "/dev/vdb "+root+" ext4 defaults 0 2\n"+root+"/overlay2 /x none bind\n")
		}, "", ""},
		"a masked unit": {func(t *testing.T, machine, _ string) {
			putLink(t, machine, "/dev/null", "etc/systemd/system/a.mount")
			putLink(t, machine, "/nowhere", "etc/systemd/system/b.mount")
		}, "", ""},
		"too large": {func(t *testing.T, machine, _ string) {
			putFile(t, machine, "etc/exports", "")
			assert.NilError(t, os.Truncate(filepath.Join(machine, "etc/exports"), 1<<30))
		}, "", "etc/exports"},
		"cannot be read": {func(t *testing.T, machine, _ string) { // a link that leads to itself
			putLink(t, machine, "fstab", "etc/fstab")
		}, "", "etc/fstab"},
	} {
		t.Run(name, func(t *testing.T) {
			root, machine := filepath.Join(t.TempDir(), "my disk"), t.TempDir()
			putDirs(t, root, "volumes")
			tc.make(t, machine, strings.ReplaceAll(root, " ", `\040`))
			in, g := inputOf(t, root, backend.Overlay2)
			in.Machine = machine
			_, err := System.Collect(t.Context(), in, g)
			if tc.doubt != "" {
				assert.Assert(t, err != nil)
				assert.Equal(t, len(g.Doubts), 1)
				assert.Equal(t, g.Doubts[0].Where, filepath.Join(machine, tc.doubt))
				assert.DeepEqual(t, g.Doubts[0].Scope, scan.Scope{})
				return
			}
			assert.NilError(t, err)
			assert.Equal(t, len(g.Doubts), 0)
			marks := collected(g)
			if tc.want == "" {
				assert.Equal(t, len(marks), 0, "%v", marks)
			} else {
				assert.DeepEqual(t, marks, []string{tc.want})
			}
		})
	}
	in, g := inputOf(t, t.TempDir())
	note, err := System.Collect(t.Context(), in, g)
	assert.NilError(t, err)
	assert.Equal(t, note, "not asked: the data root is of another machine")
}
