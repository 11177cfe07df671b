package usage

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// BenchmarkTrees sizes 500 trees of 1,000 files each, as many at a time as
// there are processors, and du sizes the same in between: ratio is our time
// over du's, below 0.7 on two processors.
func BenchmarkTrees(b *testing.B) {
	const trees, dirs, files = 500, 10, 99
	root := b.TempDir()
	var names []string
	for i := range trees {
		names = append(names, fmt.Sprintf("t%d", i))
		plant(b, filepath.Join(root, names[i]), dirs, files)
	}
	versus(b, root, names)
}

// BenchmarkBigTree sizes one tree of 200,000 files.
func BenchmarkBigTree(b *testing.B) {
	root := b.TempDir()
	for i := range 20 {
		plant(b, filepath.Join(root, "t", fmt.Sprint(i)), 20, 500)
	}
	versus(b, root, []string{"t"})
}

// BenchmarkOneDirectory sizes one directory of 200,000 files.
func BenchmarkOneDirectory(b *testing.B) {
	root := b.TempDir()
	plant(b, filepath.Join(root, "t"), 1, 200_000)
	versus(b, root, []string{"t"})
}

// plant makes directories with as many empty files each, and one with a byte.
func plant(b *testing.B, dir string, dirs, files int) {
	b.Helper()
	for d := range dirs {
		sub := filepath.Join(dir, fmt.Sprintf("d%d", d))
		assert.NilError(b, os.MkdirAll(sub, 0o755))
		for f := range files {
			file, err := os.Create(filepath.Join(sub, fmt.Sprintf("file-%d", f)))
			assert.NilError(b, err)
			assert.NilError(b, file.Close())
		}
		assert.NilError(b, os.WriteFile(filepath.Join(sub, "byte"), []byte("x"), 0o600))
	}
}

func versus(b *testing.B, root string, names []string) {
	w, fd := open(b, root, modes[0].calls, runtime.GOMAXPROCS(0))
	ours, du := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64) // the best of each: others work on the machine too
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		began := time.Now()
		want := duBytes(b, root, names...)
		du = min(du, time.Since(began))
		b.StartTimer()

		began = time.Now()
		results := make([]scan.Usage, len(names))
		var g errgroup.Group
		g.SetLimit(runtime.GOMAXPROCS(0))
		for i, name := range names {
			g.Go(func() (err error) {
				results[i], err = w.Walk(context.Background(), fd, nil, name)
				return err
			})
		}
		assert.NilError(b, g.Wait())
		ours = min(ours, time.Since(began))

		var sum int64
		for _, u := range results {
			assert.Equal(b, u.Problem, "")
			sum += u.Bytes
		}
		assert.Equal(b, sum, want)
	}
	b.ReportMetric(ours.Seconds()/du.Seconds(), "ratio")
}

// duBytes is what du says of all names together.
func duBytes(t testing.TB, root string, names ...string) int64 {
	t.Helper()
	cmd := exec.Command("du", append([]string{"-s", "--block-size=1", "--"}, names...)...)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	assert.NilError(t, err)
	var sum int64
	for line := range strings.Lines(string(out)) {
		var n int64
		_, err := fmt.Sscan(line, &n)
		assert.NilError(t, err)
		sum += n
	}
	return sum
}
