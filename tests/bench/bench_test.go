// Package bench measures the program as a whole process against what people
// use today, in one run, and reports ratios.
package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/docker-orphans/docker-orphans/tests/testkit"
	"gotest.tools/v3/assert"
)

const depth = 10 // layers an image

// BenchmarkList lists a data root of 10,000 layers with 100 files each, and
// lets du add up the same tree. The ratio is that of the two times.
func BenchmarkList(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Fatal("needs root")
	}
	plugin := build(b)
	root := synthetic(b, 10_000, 100)
	list := func() { run(b, plugin, "--data-root", root, "ls", "--no-size", "-q") }
	du := func() { run(b, "du", "-s", filepath.Join(root, "overlay2")) }
	list() // both find a warm cache
	du()
	b.ResetTimer()
	var listing, walking time.Duration
	for b.Loop() {
		listing += timed(list)
		walking += timed(du)
	}
	b.ReportMetric(listing.Seconds()/float64(b.N), "ls-s/op")
	b.ReportMetric(walking.Seconds()/float64(b.N), "du-s/op")
	b.ReportMetric(listing.Seconds()/walking.Seconds(), "ls/du")
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func run(b *testing.B, name string, args ...string) {
	out, err := exec.Command(name, args...).CombinedOutput()
	assert.NilError(b, err, "%s", out)
}

// build builds the plugin as it is shipped.
func build(b *testing.B) string {
	plugin := filepath.Join(b.TempDir(), "docker-orphans")
	cmd := exec.Command("go", "build", "-trimpath", "-o", plugin, "../../cmd/docker-orphans")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	assert.NilError(b, err, "%s", out)
	return plugin
}

// synthetic makes an overlay2 root of images, one container and 1 % orphans,
// with so many files in each layer.
func synthetic(b *testing.B, layers, files int) string {
	dir := b.TempDir()
	root, err := testkit.NewRoot(dir, "overlay2")
	assert.NilError(b, err)
	for i := range layers * 99 / 100 / depth {
		var names []string
		for l := range depth {
			names = append(names, fmt.Sprintf("%d-%d", i, l))
		}
		assert.NilError(b, root.Untagged("image"+strconv.Itoa(i), names...))
	}
	assert.NilError(b, root.Tag())
	for i := range layers / 100 {
		name := "stray" + strconv.Itoa(i)
		assert.NilError(b, root.Layer(name, testkit.ID(name)))
	}
	assert.NilError(b, root.Container("c", "image0"))
	diffs, err := filepath.Glob(filepath.Join(dir, "overlay2/*/diff"))
	assert.NilError(b, err)
	for _, diff := range diffs {
		for f := range files - 1 {
			assert.NilError(b, os.WriteFile(filepath.Join(diff, strconv.Itoa(f)), nil, 0o600))
		}
	}
	return dir
}
