package scan_test

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// What was made before the daemon started and has become what it is since is as
// young as its change: the daemon may have it in memory as it was (rule 4).
func TestChangedSinceTheStart(t *testing.T) {
	c, err := testkit.Run(t.TempDir(), "overlay2", `
image app: base
image bad: base top
container web app
mkdir plugins/{id gone}
mkdir image/DRIVER/layerdb/sha256/{id empty}/x
write image/DRIVER/layerdb/sha256/{id part}/cache-id "{id part}"
`)
	assert.NilError(t, err)
	pause := func() { time.Sleep(30 * time.Millisecond) } // more than a file's time is coarse
	pause()
	assert.NilError(t, c.Statement("online started=0s"))
	pause()
	for _, statement := range []string{
		"forget {image bad}",
		"mv plugins/{id gone} plugins/{id gone}-removing",
		"rm image/DRIVER/layerdb/sha256/{id empty}/x",
		`write image/DRIVER/layerdb/sha256/{id part}/cache-id ""`,
		`write image/DRIVER/imagedb/content/sha256/{image bad} "{"`,
	} {
		assert.NilError(t, c.Statement(statement))
	}
	c.Policy.Now = time.Now().Add(time.Hour)
	_, findings := testkit.Judge(t, c)
	seen := 0
	for i := range findings {
		if f := &findings[i]; f.Type == scan.TypeMetadata || f.Type == scan.TypeDownload {
			assert.Equal(t, f.Verdict, scan.Young, "%s: %s", f.Parts[0].Name, f.Reason)
			seen++
		}
	}
	assert.Equal(t, seen, 4)
}
