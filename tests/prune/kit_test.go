//go:build linux

// Package prune_test holds removal to what it promises, on data roots that
// are drawn as text.
package prune_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
	"github.com/docker-orphans/docker-orphans/scan/source"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"github.com/docker-orphans/docker-orphans/tests/subvolume"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// A world is a data root with a daemon that may change at any look.
type world struct {
	*testkit.Case
	t       testing.TB
	looks   int
	atLook  func(n int) // called before each look of a run
	events  []prune.Event
	medium  scan.Medium // of layers; "" as they are
	volumes bool        // the daemon removes and makes volumes
	named   bool        // plans take also what goes only if it is named
	repair  bool        // plans set aside what is broken, and nothing else

	aside map[scan.Node]bool // what the last such plan was made without
}

func newWorld(t testing.TB, driver, script string) *world {
	t.Helper()
	if driver == "btrfs" {
		return subvolumes(t, script)
	}
	return worldIn(t, filepath.Join(t.TempDir(), "root"), driver, script)
}

// subvolumes is a world on a btrfs of its own, with its layers as subvolumes,
// and the driver's directory mounted on itself, as a daemon that runs has it.
func subvolumes(t testing.TB, script string) *world {
	t.Helper()
	w := worldIn(t, filepath.Join(subvolume.Mount(t), "root"), "btrfs", script)
	for _, name := range entries(t, filepath.Join(w.Dir, "btrfs/subvolumes")) {
		plain := name + ".plain"
		assert.NilError(t, os.Rename(name, plain))
		subvolume.Create(t, name)
		for _, file := range entries(t, plain) {
			run(t, "cp", "-a", file, name)
		}
		assert.NilError(t, os.RemoveAll(plain))
	}
	home := filepath.Join(w.Dir, "btrfs")
	run(t, "mount", "--bind", home, home)
	t.Cleanup(func() { subvolume.Unmount(t, home) })
	if w.Host.Online {
		w.restart()
	}
	return w
}

// entries are the paths of what is in a directory.
func entries(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	assert.NilError(t, err)
	var paths []string
	for _, e := range list {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	return paths
}

func worldIn(t testing.TB, dir, driver, script string) *world {
	t.Helper()
	c, err := testkit.Run(dir, driver, script)
	assert.NilError(t, err)
	return &world{Case: c, t: t, named: script == leftBehind, volumes: script == leakyVolumes, repair: script == brokenImages}
}

// takeOnly takes the findings of one id.
func takeOnly(id string) func(*scan.Finding) bool {
	return func(f *scan.Finding) bool { return f.ID == id }
}

// look scans and judges as things are now. Nothing has to be old.
func (w *world) look(run string, named map[scan.Node]bool, walked func(*scan.Object) *scan.Usage) *prune.Sight {
	in := testkit.Input(w.t, w.Case)
	in.Run, in.Named = run, named
	seen := &prune.Sight{Input: in, Graph: scan.Scan(context.Background(), in, source.All)}
	for i := range seen.Graph.Objects {
		if o := &seen.Graph.Objects[i]; w.medium != "" && o.Kind == scan.KindLayer {
			o.Medium = w.medium
		}
		if o := &seen.Graph.Objects[i]; walked != nil && o.Usage == nil {
			o.Usage = walked(o)
		}
	}
	policy := scan.Policy{Now: time.Now().Add(time.Second), Without: w.aside}
	if walked != nil {
		seen.Findings = scan.Classify(seen.Graph, policy)
		return seen
	}
	var err error
	seen.Findings, err = scan.Judge(context.Background(), in, seen.Graph, policy)
	assert.NilError(w.t, err)
	return seen
}

// runner removes from the world's data root through a disk.
func (w *world) runner(disk prune.Disk) *prune.Runner {
	w.t.Helper()
	read, err := tree.Open(w.Dir)
	assert.NilError(w.t, err)
	w.t.Cleanup(func() { _ = read.Close() })
	r := &prune.Runner{
		Tree: read, Disk: disk, Policy: prune.Policy{BatchSteps: 64, BatchTime: time.Hour, Keep: time.Hour}, Now: time.Now,
		Look: func(_ context.Context, run string, named map[scan.Node]bool, walked func(*scan.Object) *scan.Usage) (*prune.Sight, error) {
			w.looks++
			if w.atLook != nil {
				w.atLook(w.looks)
			}
			return w.look(run, named, walked), nil
		},
		Adopt:  func(context.Context, *prune.Sight, []*prune.Step) []prune.Outcome { return nil },
		ZFS:    &w.Pools,
		Report: func(e prune.Event) { w.events = append(w.events, e) },
	}
	if w.Daemon != nil {
		r.Volumes = &volumeDaemon{w: w, disk: disk}
	} else {
		r.Pool = w.pool(&thinKernel{t: w.t})
	}
	return r
}

// disk is the real one.
func (w *world) disk() prune.Disk {
	w.t.Helper()
	dir, err := filepath.EvalSymlinks(w.Dir)
	assert.NilError(w.t, err)
	unlock, err := prune.Lock(dir)
	assert.NilError(w.t, err)
	assert.NilError(w.t, unlock())
	disk, done, err := prune.OpenDisk(dir, w.proc())
	assert.NilError(w.t, err)
	w.t.Cleanup(func() { _ = done() })
	return disk
}

// plan is what the first look would remove.
func (w *world) plan(o prune.Options) (prune.Plan, *scan.Process) {
	w.aside = nil
	seen := w.look("", nil, nil)
	if w.repair {
		repairs := scan.FindRepairs(seen.Graph, scan.Policy{Now: time.Now().Add(time.Second)})
		w.aside, o.Repair = repairs.Without, seen.Findings
		o.Take = repairs.Takes
		seen = w.look("", nil, nil)
	}
	if w.named {
		o.Named, o.Take = true, func(*scan.Finding) bool { return true }
	}
	return prune.NewPlan(seen.Graph, seen.Findings, o), seen.Graph.Host.Owner
}

// verdicts maps the symbol of every finding to its verdict.
func (w *world) verdicts() map[string]string {
	out := map[string]string{}
	for _, f := range w.look("", nil, nil).Findings {
		out[w.Symbols(string(f.Type)+" "+f.ID)] = f.Verdict.String()
	}
	return out
}

// ends maps the symbol of every step to how it ended.
func (w *world) ends(r *prune.Result) map[string]journal.End {
	out := map[string]journal.End{}
	for _, o := range r.Outcomes {
		out[w.Symbols(string(r.Plan.Step(o.Step).Type)+" "+r.Plan.Step(o.Step).Finding)] = o.End
	}
	return out
}

// manifest describes everything below the root but our own state: what it is,
// whose, its content and, of files, its time.
func (w *world) manifest() map[string]string {
	out := map[string]string{}
	err := filepath.WalkDir(w.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(w.Dir, path)
		if err != nil {
			return err
		}
		if name == journal.Dir {
			return fs.SkipDir
		}
		if name == "volumes/metadata.db" && w.volumes {
			return nil // the daemon's, which removes and makes volumes
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			out[name] = fmt.Sprintf("%s %d %x", info.Mode(), info.ModTime().UnixNano(), sha256.Sum256(data))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			out[name] = "-> " + target
		default:
			out[name] = info.Mode().String()
		}
		return nil
	})
	assert.NilError(w.t, err)
	return out
}

// without is a manifest without what lies at or below the given paths.
func without(manifest map[string]string, paths ...string) map[string]string {
	out := map[string]string{}
next:
	for name, what := range manifest {
		for _, p := range paths {
			if name == p || strings.HasPrefix(name, p+"/") {
				continue next
			}
		}
		out[name] = what
	}
	return out
}

// moved are the paths that a plan's steps of the given removers take.
func moved(p prune.Plan, removers ...journal.Remover) []string {
	var paths []string
	for i := range p.Steps {
		for _, r := range removers {
			if is := p.Steps[i].Remover; is != r && (is != journal.Link || r != journal.Quarantine) {
				continue
			}
			for _, m := range p.Steps[i].Moves {
				paths = append(paths, m.From)
			}
		}
	}
	return paths
}

// script is what makes the root of a root file, and for which driver it is
// drawn.
func script(t testing.TB, file string) (driver, statements string) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	assert.NilError(t, err)
	return testkit.DrawnFor(archive), string(archive.Files[0].Data)
}

// proc is a process table of a machine on which nothing else runs.
func (w *world) proc() string {
	return testkit.Input(w.t, w.Case).Proc
}
