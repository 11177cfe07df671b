//go:build e2e && linux

package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// scans is how many scans TestRaces makes: few with all other tests, 500 in
// make soak.
var scans = flag.Int("scans", 60, "how many scans TestRaces makes")

// TestRaces scans while the daemon is busy with everything that makes and
// removes layers. The oracle is the daemon itself, asked before and after each
// scan, with the records that its answers lead to and the layers that lie
// below: nothing of that is ever listed, and what was there all the time is
// used.
func TestRaces(t *testing.T) { at(t, busy, "all at once", races) }

func races(t *testing.T, h *host) {
	// What was made before the daemon started has no age to protect it.
	stock := h.stock(t, max(20, *scans/4))
	h.again(t)
	load := h.beginLoad(t, stock)
	verdicts, pending := map[string]int{}, map[string]int{}
	for n := range *scans {
		before := identities(h, engine.Passing(t, h.Daemon))
		findings := h.quickly(t, n%2 == 1)
		live := engine.Passing(t, h.Daemon)
		if n%50 == 49 {
			t.Logf("%d scans: %v", n+1, verdicts)
		}
		after := identities(h, live)
		for _, f := range findings {
			verdicts[f.Verdict]++
			if f.Verdict == "unsure" || f.Verdict == "unknown" {
				pending[f.Verdict+" "+f.Type+": "+names.ReplaceAllString(f.Reason, "…")]++
			}
			for _, p := range f.Paths {
				who, needed := live.Owner(p)
				assert.Assert(t, f.Verdict != "orphan" || !needed, "scan %d: %s needs %s, which is listed: %s", n, who, p, f.Reason)
				if known, ok := before[p]; ok && known == after[p] {
					assert.Assert(t, f.Verdict == "used", "scan %d: %s needs %s all the time, which is %s: %s", n, live[p], p, f.Verdict, f.Reason)
				}
			}
		}
	}
	load.end(t)
	assert.Assert(t, verdicts["used"] > 0)
	t.Logf("%d scans beside %s\nfindings: %v\n%v", *scans, load, verdicts, pending)
}

// names are what differs between two things of the same sort.
var names = regexp.MustCompile(`[0-9a-f]{12,}|[0-9a-z]{25}|[A-Z0-9]{26}|\d{3,}`)

// quickly lists findings without their sizes, by default or with the shortest
// grace that no step of what goes on beside it takes.
func (h *host) quickly(t *testing.T, short bool) []engine.Finding {
	t.Helper()
	args := []string{"-H", h.Host}
	if short {
		args = append(args, "--allow-short-grace", "--grace", "10s")
	}
	out := h.Run(t, suite.program, append(args, "ls", "--all", "--no-trunc", "--no-size", "--format", "json")...)
	assert.Equal(t, out.Code, 0, out.Stderr)
	findings, err := h.ReadFindings([]byte(out.Stdout))
	assert.NilError(t, err)
	return findings
}

// An identity tells a thing from one that came later under the same name: the
// file system gives an inode's number again at once.
type identity struct {
	inode uint64
	born  unix.StatxTimestamp
}

// identities are those of what is needed.
func identities(h *host, live engine.Live) map[string]identity {
	found := map[string]identity{}
	for name := range live {
		var st unix.Statx_t
		if unix.Statx(unix.AT_FDCWD, h.Path(name), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_BTIME, &st) == nil {
			found[name] = identity{st.Ino, st.Btime}
		}
	}
	return found
}

// stock makes containers and images to remove later.
func (h *host) stock(t *testing.T, n int) (names []string) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("old-%d", i)
		h.Create(t, "--name", name, "app:1", "true")
		h.Docker(t, "commit", name, name+":1")
		names = append(names, name)
	}
	return names
}

// load is what a daemon is made to do at the same time, until it is ended.
type load struct {
	stop   atomic.Bool
	group  sync.WaitGroup
	mu     sync.Mutex
	rounds map[string]int
	failed []string
}

// begin repeats something. A round that fails ends it, and the test.
func (l *load) begin(name string, round func(n int) error) { l.beginUpTo(math.MaxInt, name, round) }

func (l *load) beginUpTo(limit int, name string, round func(n int) error) {
	l.group.Add(1)
	go func() {
		defer l.group.Done()
		for n := 0; n < limit && !l.stop.Load(); n++ {
			err := round(n)
			l.mu.Lock()
			l.rounds[name]++
			if err != nil {
				l.failed = append(l.failed, fmt.Sprintf("%s, round %d: %v", name, n, err))
			}
			l.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
}

func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop.Store(true)
	l.group.Wait()
	assert.Equal(t, len(l.failed), 0, "%s", strings.Join(l.failed, "\n"))
}

func (l *load) String() string {
	var all []string
	for name, n := range l.rounds {
		all = append(all, fmt.Sprintf("%d × %s", n, name))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// beginLoad begins everything, each with names of its own.
func (h *host) beginLoad(t *testing.T, stock []string) *load {
	t.Helper()
	l := &load{rounds: map[string]int{}}
	t.Cleanup(func() {
		l.stop.Store(true)
		l.group.Wait()
	})
	base := func(name, data string) []byte { return engine.Tar(h.Base(t, engine.File{Name: name, Data: data})...) }
	more := func(data string) []byte { return engine.Tar(engine.File{Name: "more", Data: data}) }
	registry := engine.NewRegistry(t, base("pulled", "1"), more("2"))
	registry.GoOn()
	l.begin("pull", func(int) error {
		return h.all([]string{"pull", registry.Image}, []string{"rmi", registry.Image})
	})
	l.begin("load", func(n int) error {
		archive := engine.Archive("race-load:1", base("loaded", fmt.Sprint(n)), more(fmt.Sprint(n)))
		return h.feed(archive, []string{"load", "--quiet"}, []string{"rmi", "race-load:1"})
	})
	l.begin("import", func(n int) error {
		return h.feed(base("imported", fmt.Sprint(n)), []string{"import", "-", "race-import:1"}, []string{"rmi", "race-import:1"})
	})
	l.begin("build", func(n int) error { return h.round(n, false, "race-build:1") })
	l.begin("BuildKit build", func(n int) error {
		if err := h.round(n, true, "race-buildkit:1"); err != nil || n%3 != 2 {
			return err
		}
		return h.all([]string{"builder", "prune", "--all", "--force"})
	})
	l.begin("container", func(int) error {
		return h.all([]string{"create", "--network=none", "--name", "race", "bk:1", "sh", "-c", "echo x >/x"},
			[]string{"start", "--attach", "race"}, []string{"rm", "--volumes", "race"})
	})
	l.begin("commit", func(int) error {
		return h.all([]string{"commit", h.down, "race-commit:1"}, []string{"rmi", "race-commit:1"})
	})
	l.beginUpTo(len(stock), "old container and image", func(n int) error {
		return h.all([]string{"rm", stock[n]}, []string{"rmi", stock[n] + ":1"})
	})
	return l
}

// all runs docker commands one after the other.
func (h *host) all(commands ...[]string) error { return h.feed(nil, commands...) }

// feed gives the first of them a standard input.
func (h *host) feed(input []byte, commands ...[]string) error {
	in := io.Reader(bytes.NewReader(input))
	for _, args := range commands {
		if _, err := h.Try(in, args...); err != nil {
			return err
		}
		in = nil
	}
	return nil
}

// round builds an image that there was not yet and removes it.
func (h *host) round(n int, buildkit bool, name string) error {
	const dockerfile = "FROM base:1\nCOPY n /n\nRUN head -c 99 /dev/urandom >/r\n"
	if err := h.TryBuild(buildkit, name, dockerfile, engine.File{Name: "n", Data: fmt.Sprint(name, n)}); err != nil {
		return err
	}
	return h.all([]string{"rmi", name})
}
