//go:build linux

// Package property holds the scan to what must be true for all inputs.
package property

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
	"pgregory.net/rapid"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/bolt"
	"github.com/docker-orphans/docker-orphans/scan/source"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// tally counts what the machine did, over all of its runs: a model that does
// nothing finds nothing.
type tally struct{ scans, within, kills, leaks, unsettled, prunes, freed, held, kept, putBack int }

// TestModel lets a model of dockerd do random operations, several at a time,
// step by step. It is scanned at any moment, goes on while it is scanned, and
// is killed at any moment. Whatever it knows as alive or in flight is never an
// orphan; whatever a kill left behind is one, once the daemon started anew and
// it has aged.
func TestModel(t *testing.T) {
	proc := t.TempDir()
	assert.NilError(t, testkit.QuietProc(proc))
	for _, driver := range []string{"overlay2", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			n := &tally{}
			rapid.Check(t, func(t *rapid.T) {
				dir, err := os.MkdirTemp(proc, "root")
				must(t, err)
				defer os.RemoveAll(dir)
				w, err := newWorld(dir, driver)
				must(t, err)
				m := &machine{world: w, proc: proc, tally: n}
				t.Repeat(map[string]func(*rapid.T){
					"begin": m.begin, "step": m.stepOne, "finish": m.finishOne,
					"kill": m.kill, "scan": m.scanBusy, "prune": m.pruneBusy,
				})
				m.kill(t)
			})
			t.Logf("%+v", *n)
			assert.Assert(t, n.scans > 0 && n.within > 0 && n.kills > 0 && n.leaks > 0, "the model did too little")
			assert.Assert(t, n.prunes > 0 && n.freed > 0, "prune did too little")
		})
	}
}

func must(t *rapid.T, err error) {
	if err != nil {
		t.Fatalf("the model: %v", err)
	}
}

// A machine drives a world.
type machine struct {
	*world
	*tally
	proc string
}

// begin begins an operation: some need what others work at, and wait.
func (m *machine) begin(t *rapid.T) {
	alone := func(o *operation) bool { return o.name == "rmi" || o.name == "builder prune" }
	if len(m.running) >= 3 || slices.ContainsFunc(m.running, alone) {
		t.Skip("busy")
	}
	any := func(ids []string) string { return rapid.SampledFrom(ids).Draw(t, "which") }
	images, containers, builds := m.imageIDs(), m.idle(), m.leaves()
	var o *operation
	switch kind := rapid.IntRange(0, 9).Draw(t, "operation"); {
	case kind <= 1:
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 3, rapid.ID).Draw(t, "layers")
		o = m.pull(m.fresh("image"), names)
	case kind == 2:
		o = m.create(any(images))
	case kind == 3 && len(containers) > 1:
		o = m.rm(any(containers))
	case kind == 4 && len(m.unused()) > 0 && len(images) > 1 && len(m.running) == 0:
		o = m.rmi(any(m.unused()))
	case kind == 5 && len(containers) > 0 && m.images[m.containers[containers[0]].image] != nil:
		o = m.commit(containers[0])
	case kind == 6:
		o = m.build(any(images))
	case kind == 7:
		o = m.buildKit(any(images), "")
		if len(builds) > 0 && rapid.Bool().Draw(t, "on another") {
			o = m.buildKit("", any(builds))
		}
	case kind == 8 && len(builds) > 0 && len(m.running) == 0:
		o = m.builderPrune(any(builds))
	case kind == 9 && len(containers) > 0:
		o = m.imageMount(any(containers), any(images))
	default:
		t.Skip("nothing to do it to")
	}
	m.running = append(m.running, o)
}

// idle are the containers that nothing is being done to; not while an rm runs.
func (m *machine) idle() []string {
	if slices.ContainsFunc(m.running, func(o *operation) bool { return o.name == "rm" || o.name == "image mount" || o.name == "commit" }) {
		return nil
	}
	return slices.DeleteFunc(m.containerIDs(), func(id string) bool { return m.containers[id].damaged })
}

// unused are the images that no container is of.
func (m *machine) unused() []string {
	return slices.DeleteFunc(m.imageIDs(), func(id string) bool {
		for _, c := range m.containers {
			if c.image == id {
				return true
			}
		}
		return false
	})
}

// leaves are the build records that no other lies on.
func (m *machine) leaves() []string {
	return slices.DeleteFunc(sorted(m.builds), func(id string) bool {
		for _, parent := range m.builds {
			if parent == id {
				return true
			}
		}
		return slices.ContainsFunc(m.running, func(o *operation) bool { return o.name == "BuildKit build" || o.name == "builder prune" })
	})
}

func (m *machine) stepOne(t *rapid.T) {
	if len(m.running) == 0 {
		t.Skip("idle")
	}
	m.advance(t, rapid.IntRange(0, len(m.running)-1).Draw(t, "which"))
}

// advance does one step of a running operation.
func (m *machine) advance(t *rapid.T, n int) {
	more, err := m.running[n].step()
	must(t, err)
	if !more {
		m.running = slices.Delete(m.running, n, n+1)
	}
}

func (m *machine) finishOne(t *rapid.T) {
	if len(m.running) == 0 {
		t.Skip("idle")
	}
	o := m.running[0]
	for slices.Contains(m.running, o) {
		m.advance(t, slices.Index(m.running, o))
	}
}

// kill kills the daemon and starts it again. Nothing is in flight now, and
// with time nothing is young: what is left over must show, with the daemon and
// without it.
func (m *machine) kill(t *rapid.T) {
	m.kills++
	must(t, m.restart())
	aged := scan.Policy{Now: time.Now().Add(48 * time.Hour), Grace: scan.DefaultGrace}
	for _, online := range []bool{true, false} {
		verdicts := m.scan(t, online, aged, func(testkit.Read) error { return nil })
		needed := m.needed(online)
		m.noneNeeded(t, verdicts, needed)
		if !m.settled() || m.broken(verdicts) {
			m.unsettled++
			continue
		}
		for _, name := range m.things() {
			if needed[name] {
				continue
			}
			m.leaks++
			if v, listed := verdicts[name]; v != scan.Orphan && v != scan.Kept { // or it was restored
				t.Fatalf("%s is left over, and %s (listed: %t, online: %t)", name, v, listed, online)
			}
		}
	}
}

// broken reports whether a layer was brought back whose making was cut off
// before it was written what it lies on: it is kept, and that may be anything.
func (m *machine) broken(verdicts map[string]scan.Verdict) bool {
	for name, v := range verdicts {
		_, noWork := os.Lstat(m.path(name + "/work"))
		_, noLower := os.Lstat(m.path(name + "/lower"))
		if v == scan.Kept && noWork == nil && noLower != nil {
			return true
		}
	}
	return false
}

// scanBusy scans while operations run, which go on between two reads. Age
// protects what they made: nothing else, as the grace is as long as they run.
func (m *machine) scanBusy(t *rapid.T) {
	every := rapid.IntRange(1, 40).Draw(t, "reads between steps")
	steps := rapid.IntRange(1, 5).Draw(t, "steps at a time")
	before := m.needed(true)
	there := set{}
	there.add(m.things()...)
	reads := 0
	verdicts := m.scan(t, true, scan.Policy{Now: time.Now().Add(time.Minute), Grace: time.Minute + time.Hour}, func(testkit.Read) error {
		if reads++; reads%every == 0 {
			for range steps {
				if len(m.running) > 0 {
					m.within++
					m.advance(t, reads/every%len(m.running))
				}
			}
		}
		return nil
	})
	after := m.needed(true)
	for name := range after {
		if there[name] && !before[name] {
			delete(after, name) // garbage when the scan began, of use again since: nobody promises to see that
		}
	}
	m.noneNeeded(t, verdicts, after)
}

// noneNeeded asserts that nothing needed is an orphan.
func (m *machine) noneNeeded(t *rapid.T, verdicts map[string]scan.Verdict, needed set) {
	for name, v := range verdicts {
		if v == scan.Orphan && needed[name] {
			var doing []string
			for _, o := range m.running {
				doing = append(doing, o.name)
			}
			t.Fatalf("%s is needed, and an orphan; running: %v", name, doing)
		}
	}
}

// scan returns the verdict of every path.
func (m *machine) scan(t *rapid.T, online bool, p scan.Policy, before func(testkit.Read) error) map[string]scan.Verdict {
	m.scans++
	verdicts, err := m.verdicts(online, p, before)
	must(t, err)
	return verdicts
}

func (m *machine) verdicts(online bool, p scan.Policy, before func(testkit.Read) error) (map[string]scan.Verdict, error) {
	disk, err := tree.Open(m.dir)
	if err != nil {
		return nil, err
	}
	defer disk.Close()
	in := m.input(disk, online, before)
	g := scan.Scan(context.Background(), in, source.All)
	findings, err := scan.Judge(context.Background(), in, g, p)
	verdicts := map[string]scan.Verdict{}
	for _, f := range findings {
		for _, name := range f.Paths() {
			verdicts[name] = f.Verdict
		}
	}
	return verdicts, err
}

// input is what a scan reads, with something that happens before each read.
func (m *machine) input(disk *tree.Disk, online bool, before func(testkit.Read) error) *scan.Input {
	tap := &testkit.Tap{Tree: disk, Before: before}
	in := &scan.Input{
		Tree: tap, DataRoot: disk.Path(), Proc: m.proc, Now: time.Now,
		Backends: []*scan.Backend{backend.Named(m.driver)},
		Bolt:     func(ctx context.Context, name string) (*bbolt.DB, error) { return bolt.Copy(ctx, tap, name) },
		Host:     scan.Host{DataRoot: disk.Path(), Now: time.Now()},
	}
	if online {
		in.Daemon = &daemon{m.world}
		in.Host.Online, in.Host.TmpMade = true, m.start
		in.Host.Owner = &scan.Process{PID: 1, Name: "dockerd", Started: m.start}
	}
	return in
}
