package source

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

const threadsVariable = "DOCKER_ORPHANS_TEST_THREADS"

// TestThreads is no test: the benchmark runs it as a process of many threads.
func TestThreads(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv(threadsVariable))
	if err != nil {
		t.Skip("the benchmark runs it")
	}
	var ready sync.WaitGroup
	ready.Add(count)
	for range count {
		go func() {
			runtime.LockOSThread()
			ready.Done()
			_ = unix.Pause() // until it is killed
		}()
	}
	ready.Wait()
	fmt.Println("ready")
	select {}
}

// started starts a process and waits until it writes a line.
func started(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	out, err := cmd.StdoutPipe()
	assert.NilError(b, err)
	assert.NilError(b, cmd.Start())
	b.Cleanup(func() {
		assert.Check(b, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed, and says so
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	assert.NilError(b, err)
}

// processorTime is what this process took so far: on a machine that others
// work on it tells more than the time that passed.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	assert.NilError(b, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// A host with 300 processes of 100 descriptors each, and 5,000 threads more.
func BenchmarkProcessTable(b *testing.B) {
	in, g := processRoot(b)
	in.Proc = "/proc"
	var files []*os.File
	for i := range 100 {
		name := fmt.Sprintf("overlay2/%s/diff/%d", hex1, i)
		putFile(b, in.DataRoot, name, "")
		f, err := os.Open(in.DataRoot + "/" + name)
		assert.NilError(b, err)
		defer f.Close()
		files = append(files, f)
	}
	stdin, keep, err := os.Pipe()
	assert.NilError(b, err)
	defer keep.Close()
	for range 300 {
		cmd := exec.Command("sh", "-c", "echo ready; read line")
		cmd.Stdin, cmd.ExtraFiles = stdin, files
		started(b, cmd)
	}
	many := exec.Command(os.Args[0], "-test.run=^TestThreads$")
	many.Env = append(os.Environ(), threadsVariable+"=5000")
	started(b, many)

	for _, s := range []*scan.Source{Mounts, Processes} {
		b.Run(string(s.ID), func(b *testing.B) {
			began := processorTime(b)
			for b.Loop() {
				graph := scan.NewGraph()
				for n := range g.Nodes {
					graph.Title(n, "")
				}
				for i := range g.Objects {
					graph.Add(g.Objects[i])
				}
				note, _ := s.Collect(b.Context(), in, graph) // others' processes may be in doubt
				if note == "" {
					b.Fatal("read nothing")
				}
			}
			b.ReportMetric((processorTime(b)-began).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}
