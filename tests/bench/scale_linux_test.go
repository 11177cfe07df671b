package bench

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// BenchmarkScale lists data roots of empty layers, each ten times as many as
// the one before: the time for one layer stays the same. The peak is that of
// the process's memory, and du adds up the same root.
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
		})
	}
}

// listEmpty lists a root and returns the most memory that this took, in bytes.
func listEmpty(b *testing.B, plugin, root string) int64 {
	cmd := exec.Command(plugin, "--data-root", root, "ls", "--no-size", "-q")
	out, err := cmd.CombinedOutput()
	assert.NilError(b, err, "%s", out)
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}
