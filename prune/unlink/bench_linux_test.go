package unlink

import (
	"context"
	"flag"
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
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"
)

var million = flag.Int("files", 1_000_000, "how many files the large trees of benchmarks have")

// BenchmarkLayers removes layers of 2,000 small files each, all in one tree.
func BenchmarkLayers(b *testing.B) {
	versus(b, func(dir string) { plantTrees(b, dir, *million/2000, 20, 100) })
}

// BenchmarkOneDirectory removes a directory that all files are in.
func BenchmarkOneDirectory(b *testing.B) {
	versus(b, func(dir string) { plantTrees(b, dir, 1, 1, *million) })
}

// BenchmarkDeep removes a tree of 100,000 levels.
func BenchmarkDeep(b *testing.B) {
	versus(b, func(dir string) {
		assert.NilError(b, os.Mkdir(dir, 0o755))
		plantDeep(b, dir, 100_000)
	})
}

// BenchmarkOrphans removes 1,000 trees of 100 files, each by itself.
func BenchmarkOrphans(b *testing.B) {
	versus(b, func(dir string) { plantTrees(b, dir, 1000, 4, 25) }, "each")
}

// plantTrees makes trees of directories with as many files each, every second
// one of them empty.
func plantTrees(b *testing.B, dir string, trees, dirs, files int) {
	b.Helper()
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for tree := range trees {
		g.Go(func() error {
			for d := range dirs {
				sub := filepath.Join(dir, fmt.Sprintf("t%d/d%d", tree, d))
				if err := os.MkdirAll(sub, 0o755); err != nil {
					return err
				}
				for f := range files {
					data := make([]byte, 300*(f%2))
					if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("file-%d", f)), data, 0o644); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	assert.NilError(b, g.Wait())
}

// versus lets us and rm -rf remove equal trees, each in a process of its own
// and in turns. It reports the ratio of the best times, ours over rm's, and the
// most memory that ours took.
func versus(b *testing.B, plant func(dir string), args ...string) {
	b.Helper()
	root := b.TempDir()
	ours, rm := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	var peak float64
	turn := 0
	for b.Loop() {
		b.StopTimer()
		a, c := filepath.Join(root, "ours"), filepath.Join(root, "rm")
		plant(a)
		plant(c)
		syncDisk(b, root)
		b.StartTimer()
		turns := []func(){
			func() {
				began := time.Now()
				peak = max(peak, asChild(b, append([]string{a}, args...)...))
				ours = min(ours, time.Since(began))
			},
			func() {
				began := time.Now()
				run(b, "rm", "-rf", c)
				rm = min(rm, time.Since(began))
			},
		}
		turns[turn%2]()
		turns[1-turn%2]()
		turn++
		entries, err := os.ReadDir(root)
		assert.NilError(b, err)
		assert.Equal(b, len(entries), 0)
	}
	b.ReportMetric(ours.Seconds()/rm.Seconds(), "ratio")
	b.ReportMetric(rm.Seconds(), "rm-s")
	b.ReportMetric(peak, "peak-MB")
}

// syncDisk makes sure that what is removed is on the disk, as an orphan is.
func syncDisk(b *testing.B, root string) {
	b.Helper()
	dir, err := os.Open(root)
	assert.NilError(b, err)
	defer dir.Close()
	assert.NilError(b, unix.Syncfs(int(dir.Fd())))
}

const childEnv = "UNLINK_CHILD"

// TestMain makes the test binary a remover if asChild started it.
func TestMain(m *testing.M) {
	if args := os.Getenv(childEnv); args != "" {
		if err := child(strings.Split(args, ":")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// asChild removes a directory in a process of its own, "each" of its entries by
// itself, and returns the most memory that it took, in MB.
func asChild(t testing.TB, args ...string) (peak float64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(args, ":"))
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "%s", out)
	_, err = fmt.Sscanf(string(out), "peak %g", &peak)
	assert.NilError(t, err, "%s", out)
	return peak
}

func child(args []string) error {
	parent, err := os.Open(filepath.Dir(args[0]))
	if err != nil {
		return err
	}
	crew := New(0)
	o := Options{Mounted: nothing, Trash: parent}
	if len(args) > 1 {
		if err := each(crew, args[0], o); err != nil {
			return err
		}
	}
	if _, err := crew.Remove(context.Background(), parent, filepath.Base(args[0]), o); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, text, _ := strings.Cut(string(status), "VmHWM:")
	var kB float64
	if _, err := fmt.Sscan(text, &kB); err != nil {
		return err
	}
	_, err = fmt.Printf("peak %g\n", kB/1000)
	return err
}

// each removes the entries of a directory, side by side.
func each(crew *Crew, path string, o Options) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(0)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, name := range names {
		g.Go(func() error {
			_, err := crew.Remove(context.Background(), dir, name, o)
			return err
		})
	}
	return g.Wait()
}
