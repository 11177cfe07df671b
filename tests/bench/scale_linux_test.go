package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// servable is how many layers a daemon of today starts on in a minute.
const servable = 10_000

// BenchmarkScale lists data roots of empty layers, each ten times as many as
// the one before: the time for one layer stays the same. The peak is that of
// the process's memory. du adds up the same root, and where a daemon can be
// started on it, "docker system df" says what it knows of it.
func BenchmarkScale(b *testing.B) {
	plugin := build(b)
	for _, layers := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("layers=%d", layers), func(b *testing.B) {
			root := synthetic(b, layers, 1)
			du := func() { run(b, "du", "-s", filepath.Join(root, "overlay2")) }
			du() // both find a warm cache
			listEmpty(b, plugin, root)
			b.ResetTimer()
			var listing, walking time.Duration
			var peak int64
			for b.Loop() {
				listing += timed(func() { peak = max(peak, listEmpty(b, plugin, root)) })
				walking += timed(du)
			}
			b.ReportMetric(float64(listing.Nanoseconds())/float64(b.N*layers), "ns/layer")
			b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
			b.ReportMetric(listing.Seconds()/walking.Seconds(), "ls/du")
			if layers <= servable {
				b.ReportMetric(listing.Seconds()/float64(b.N)/systemDF(b, root).Seconds(), "ls/df")
			}
		})
	}
}

// systemDF is how long "docker system df" takes of a daemon that has just
// started on a root. It does without the root's containers: their configs have
// what the scan reads, and less than a daemon needs.
func systemDF(b *testing.B, root string) time.Duration {
	b.StopTimer()
	e, err := engine.Debian(b.Context())
	assert.NilError(b, err)
	assert.NilError(b, os.RemoveAll(filepath.Join(root, "containers")))
	d := engine.Start(b, e, engine.Options{Driver: "overlay2", DataRoot: root})
	defer d.Stop(b) // it mounts its data root on itself until then
	return timed(func() { d.Docker(b, "system", "df") })
}

// listEmpty lists a root and returns the most memory that this took, in bytes.
func listEmpty(b *testing.B, plugin, root string) int64 {
	cmd := exec.Command(plugin, "--data-root", root, "ls", "--no-size", "-q")
	out, err := cmd.CombinedOutput()
	assert.NilError(b, err, "%s", out)
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}
