//go:build e2e && linux

package e2e

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// raceTime is how long everything runs at once beside prune. make soak sets
// it longer.
var raceTime = flag.Duration("race-time", 40*time.Second, "how long TestRacesWithPrune goes on")

// TestRacesWithPrune does all that makes and removes layers, in loops, first alone and
// then with prune in a loop beside it that takes the youngest: no age
// protects anything. What is made must be whole each
// time, and what fails must fail without prune as well.
func TestRacesWithPrune(t *testing.T) { at(t, raced, "all at once", racesWithPrune) }

func racesWithPrune(t *testing.T, h *host) {
	const cached = "FROM base:1\nRUN head -c 99 /dev/urandom >/r\n"
	cachedBuild(t, h, cached)
	built := h.Docker(t, "image", "inspect", "--format", "{{.RootFS.Layers}}", "cached:1")
	before := engine.Snapshot(t, h.Daemon)

	h.pullBesidePrune(t)
	r := &pruneRace{h: h, t: t, alone: map[string]int{}, beside: map[string]int{}, rounds: map[string]int{}}
	r.run(*raceTime/4, r.alone)
	stop := r.prune()
	r.run(*raceTime, r.beside)
	for more := 0; more < 10 && r.idle(); more++ { // a layer was being written at every look so far
		r.run(*raceTime/2, r.beside)
	}
	stop()

	t.Logf("rounds of each sort, alone and beside prune: %v", r.rounds)
	t.Logf("prunes: %d, of which %d removed something, %d left something; layers leaked: %d", r.prunes, r.removed, r.left, len(r.leaked))
	t.Logf("failures alone: %v, beside prune: %v", r.alone, r.beside)
	for class, n := range r.beside {
		assert.Check(t, r.alone[class] > 0, "fails beside prune only (%d times): %s", n, class)
	}
	h.prune(t)
	for _, path := range r.leaked {
		assert.Check(t, !h.Has(path), "%s is an orphan, and is still there", path)
	}
	assert.Check(t, r.removed > 0, "no prune removed anything: it raced with nothing")
	engine.Check(t, h.Daemon, before)
	h.Docker(t, "builder", "prune", "--force", "--filter", "until=1h") // takes nothing: all is younger
	cachedBuild(t, h, cached)
	assert.Equal(t, h.Docker(t, "image", "inspect", "--format", "{{.RootFS.Layers}}", "cached:1"), built, "the build's cache is lost")
	h.again(t)
	engine.Check(t, h.Daemon, before)
}

// ageless are options with which nothing is too young. The two looks are as
// far apart as ever: that is what saves what is just being made.
var ageless = []string{"--allow-short-grace", "--grace", "0s"}

// pullBesidePrune pulls an image, and prunes while its first layer waits for
// the second: nothing but the daemon's memory says that it is wanted.
func (h *host) pullBesidePrune(t *testing.T) {
	t.Helper()
	p := h.BeginPull(t)
	kept := false
	for range patience {
		out := h.Run(t, suite.program, slices.Concat([]string{"-H", h.Host}, ageless, []string{"prune", "--force"})...)
		if kept = strings.Contains(out.Stderr, "Kept by the daemon"); kept {
			break
		}
	}
	assert.Check(t, kept, "prune never tried to adopt the chain that is being pulled")
	image := p.Finish(t)
	assert.Equal(t, h.Docker(t, "run", "--rm", "--network=none", image, "cat", "/pulled", "/second"), "12")
	h.Docker(t, "rmi", image)
}

// A pruneRace is everything at once.
type pruneRace struct {
	h *host
	t *testing.T

	mu            sync.Mutex
	alone, beside map[string]int // failures by class
	rounds        map[string]int // by worker
	leaked        []string       // layers

	number                atomic.Int64
	prunes, removed, left int
}

// workers are what goes on. Each makes something of its own, sees to it that
// it is whole, and removes it.
func (r *pruneRace) workers() map[string]func(t engine.TB, id string) {
	h := r.h
	reads := func(t engine.TB, image, want string, files ...string) {
		t.Helper()
		got := h.Docker(t, slices.Concat([]string{"run", "--rm", "--network=none", image, "cat"}, files)...)
		if got != want {
			t.Fatalf("%s reads %q, must read %q", image, got, want)
		}
	}
	return map[string]func(engine.TB, string){
		"pull": func(t engine.TB, id string) {
			reg := engine.NewRegistry(t, engine.Tar(h.Base(t, engine.File{Name: "1", Data: id})...), engine.Tar(engine.File{Name: "2", Data: id}))
			go func() {
				time.Sleep(15 * time.Second) // in which prune finds a chain that no image has, twice
				reg.GoOn()
			}()
			h.Docker(t, "pull", "--quiet", reg.Image)
			reads(t, reg.Image, id+id, "/1", "/2")
			h.Docker(t, "rmi", reg.Image)
		},
		"load": func(t engine.TB, id string) {
			image := h.Load(t, engine.Archive("race-load:"+id, engine.Tar(h.Base(t, engine.File{Name: "1", Data: id})...), engine.Tar(engine.File{Name: "2", Data: id})))
			reads(t, image, id+id, "/1", "/2")
			h.Docker(t, "rmi", image)
		},
		"import": func(t engine.TB, id string) {
			h.Import(t, "race-import:"+id, h.Base(t, engine.File{Name: "1", Data: id})...)
			reads(t, "race-import:"+id, id, "/1")
			h.Docker(t, "rmi", "race-import:"+id)
		},
		"classic build": func(t engine.TB, id string) {
			h.Build(t, "race-build:"+id, "FROM base:1\nCOPY 1 /1\nRUN echo -n "+id+" >/2\n", engine.File{Name: "1", Data: id})
			reads(t, "race-build:"+id, id+id, "/1", "/2")
			h.Docker(t, "rmi", "race-build:"+id)
		},
		"BuildKit build": func(t engine.TB, id string) {
			h.BuildKit(t, "race-buildkit:"+id, "FROM base:1\nCOPY 1 /1\nRUN echo -n "+id+" >/2\n", engine.File{Name: "1", Data: id})
			reads(t, "race-buildkit:"+id, id+id, "/1", "/2")
			h.Docker(t, "rmi", "race-buildkit:"+id)
		},
		"container": func(t engine.TB, id string) {
			c := h.Create(t, "app:1", "sh", "-c", "echo "+id+" >>/w; cat /w")
			for _, want := range []string{id, id + "\n" + id} { // what it wrote is there when it starts again
				if got := h.Docker(t, "start", "--attach", c); got != want {
					t.Fatalf("a container reads %q, must read %q", got, want)
				}
			}
			h.Docker(t, "rm", c)
		},
		"commit": func(t engine.TB, id string) {
			c := h.Down(t, "app:1", "sh", "-c", "echo -n "+id+" >/1")
			h.Docker(t, "commit", c, "race-commit:"+id)
			h.Docker(t, "rm", c)
			reads(t, "race-commit:"+id, id, "/1")
			h.Docker(t, "rmi", "race-commit:"+id)
		},
		"volume": func(t engine.TB, id string) {
			h.Docker(t, "run", "--rm", "--network=none", "--volume=race-"+id+":/v", "base:1", "sh", "-c", "echo -n "+id+" >/v/1")
			got := h.Docker(t, "run", "--rm", "--network=none", "--volume=race-"+id+":/v", "base:1", "cat", "/v/1")
			if got != id {
				t.Fatalf("a volume reads %q, must read %q", got, id)
			}
			h.Docker(t, "volume", "rm", "race-"+id)
		},
		"anonymous volume": func(t engine.TB, id string) {
			c := h.Create(t, "--volume=/v", "base:1", "sh", "-c", "echo "+id+" >>/v/1; cat /v/1")
			for _, want := range []string{id, id + "\n" + id} {
				if got := h.Docker(t, "start", "--attach", c); got != want {
					t.Fatalf("a container's volume reads %q, must read %q", got, want)
				}
			}
			h.Docker(t, "rm", "--volumes", c)
		},
		"leak":          r.leak,
		"leaked volume": r.leakVolume,
	}
}

// leak leaves a layer as dockerd does that is killed in the middle of making
// one: by hand, for the daemon is to go on.
func (r *pruneRace) leak(t engine.TB, id string) {
	number := fmt.Sprintf("%064x", r.number.Add(1)+0x0c0ffee000)
	leaked := []string{r.h.LayerDir() + "/" + number}
	layer := r.h.Path(leaked[0])
	made := r.h.Path("tmp/" + number) // whole when it gets to its place
	var err error
	switch r.h.Driver {
	case "btrfs":
		err = exec.Command("btrfs", "subvolume", "create", layer).Run()
	case "vfs", "overlay":
		err = errors.Join(os.MkdirAll(made+"/root", 0o700), os.WriteFile(made+"/root/file", []byte(id), 0o600), os.Rename(made, layer))
	default:
		link := strings.Map(func(hex rune) rune { return 'A' + hex%32 }, number[len(number)-26:]) // 16 other letters
		leaked = append(leaked, r.h.Links()+"/"+link)
		err = errors.Join(
			os.MkdirAll(made+"/diff", 0o700),
			os.WriteFile(made+"/link", []byte(link), 0o600), os.WriteFile(made+"/diff/file", []byte(id), 0o600),
			os.Rename(made, layer),
			os.Symlink(filepath.Join("..", number, "diff"), r.h.Path(leaked[1])),
		)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	r.mu.Lock()
	r.leaked = append(r.leaked, leaked...)
	r.mu.Unlock()
	time.Sleep(time.Second)
}

// leakVolume leaves a volume that nobody named and nothing uses.
func (r *pruneRace) leakVolume(t engine.TB, _ string) {
	name := r.h.Docker(t, "volume", "create")
	r.mu.Lock()
	r.leaked = append(r.leaked, "volumes/"+name)
	r.mu.Unlock()
	time.Sleep(3 * time.Second)
}

// run has all workers go round for a time, each twice at least, and counts
// what fails.
func (r *pruneRace) run(how time.Duration, failures map[string]int) {
	end := time.Now().Add(how)
	var all sync.WaitGroup
	for name, work := range r.workers() {
		all.Go(func() {
			for round := 0; round < 2 || time.Now().Before(end); round++ {
				failed := attempted(r.t, func(t engine.TB) { work(t, fmt.Sprint(r.number.Add(1))) })
				r.mu.Lock()
				r.rounds[name]++
				if failed != "" {
					failures[name+": "+class(failed)]++
				}
				r.mu.Unlock()
			}
		})
	}
	all.Wait()
}

// attempted runs what may fail and returns how it did, or "".
func attempted(t *testing.T, f func(engine.TB)) (failure string) {
	r := &recorder{T: t}
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
		failure = r.failure
	}()
	f(r)
	return ""
}

var number = regexp.MustCompile(`[0-9a-f]{12,}|[0-9]+`)

// class is a failure without what is different each time.
func class(failure string) string {
	lines := bytes.Split([]byte(strings.TrimSpace(failure)), []byte("\n"))
	return string(number.ReplaceAll(bytes.Join(lines[max(0, len(lines)-3):], []byte(" ")), []byte("N")))
}

// prune prunes in a loop until the function that it returns is called.
func (r *pruneRace) prune() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
				r.pruneOnce()
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// idle reports whether no prune has removed anything yet.
func (r *pruneRace) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed == 0
}

func (r *pruneRace) pruneOnce() {
	var out engine.Output
	failed := attempted(r.t, func(t engine.TB) {
		out = r.h.Run(t, suite.program, slices.Concat([]string{"-H", r.h.Host}, ageless, []string{"prune", "--force"})...)
		// 4: something changed under it. Anything else is a failure of its own.
		if out.Code != 0 && out.Code != 4 {
			t.Fatalf("exit status %d: %s", out.Code, out.Stderr)
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prunes++
	if failed != "" {
		r.beside["prune: "+class(failed)]++
	}
	if strings.Contains(out.Stdout, "Deleted") {
		r.removed++
	}
	if out.Code == 4 {
		r.left++
	}
}
