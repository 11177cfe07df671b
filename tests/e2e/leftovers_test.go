//go:build e2e && linux

package e2e

import (
	"os"
	"path"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// leftovers is what the daemon never removes, however often it starts: a plugin
// whose removal was cut off, what one was being unpacked into, a tmp-old that
// stayed, where a container of another image store was mounted, the build cache
// of Docker before 20.10, and what it was writing when it was killed.
func leftovers(t *testing.T, h *host) []want {
	id := strings.Repeat("0123456789abcdef", 4)
	removing, unpacked, old := "plugins/"+id+"-removing", "plugins/tmp/.rootfs123", "tmp-old"
	point, cache := "rootfs/overlayfs/"+id, "builder"
	written, tags, runtimes := "containers/"+h.made+"/.tmp-config.v2.json5", "image/"+h.Driver+"/.tmp-repositories.json6", "gen-runtimes7"
	h.stopped(t, func() {
		for _, dir := range []string{removing + "/propagated-mount/data", unpacked + "/bin", old + "/docker-builder77", point, cache + "/" + id, runtimes} {
			assert.NilError(t, os.MkdirAll(h.Path(dir), 0o700))
		}
		for _, file := range []string{removing + "/propagated-mount/data/file", old + "/GetImageBlob88", cache + "/fscache.db", written, tags} {
			assert.NilError(t, os.WriteFile(h.Path(file), []byte(path.Base(file)), 0o600))
		}
	})
	h.again(t)
	return []want{
		orphan("download", removing), orphan("download", unpacked), orphan("download", old), orphan("link", point), orphan("build", cache),
		orphan("download", written), orphan("download", tags), orphan("download", runtimes),
	}
}
