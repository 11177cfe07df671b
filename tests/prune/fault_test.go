//go:build linux

package prune_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/prune/linked"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// A fault is what happens at one operation of a disk.
type fault int

const (
	failBefore  fault = iota // it fails
	failAfter                // it is done, and fails
	crashBefore              // the process ends before it
	crashAfter               // the process ends after it
)

func (f fault) String() string {
	return [...]string{"fails", "fails though done", "crash before", "crash after"}[f]
}

var errFault = fmt.Errorf("made to fail: %w", syscall.EIO)

// crash is what a faulty disk panics with where the process would end.
type crash struct{}

// A faultyDisk has one fault, at its nth operation, or at one that is named;
// without either it has none and counts.
type faultyDisk struct {
	prune.Disk
	at    int
	what  string
	fault fault
	done  int
	ops   []string
}

func (d *faultyDisk) do(what string, op func() error) error {
	d.done++
	d.ops = append(d.ops, what)
	if d.done != d.at && what != d.what {
		return op()
	}
	switch d.fault {
	case failBefore:
		return errFault
	case failAfter:
		return errors.Join(op(), errFault)
	case crashAfter:
		_ = op() // nobody is there to hear
	}
	panic(crash{})
}

func (d *faultyDisk) Mkdir(name string) error {
	return d.do("mkdir "+name, func() error { return d.Disk.Mkdir(name) })
}

func (d *faultyDisk) Rename(from, to string) error {
	return d.do("rename "+from, func() error { return d.Disk.Rename(from, to) })
}

func (d *faultyDisk) Append(name string, data []byte) error {
	return d.do("append "+name, func() error { return d.Disk.Append(name, data) })
}

func (d *faultyDisk) Remove(name string) error {
	return d.do("remove "+name, func() error { return d.Disk.Remove(name) })
}

func (d *faultyDisk) Sync(dir string) error {
	return d.do("sync "+dir, func() error { return d.Disk.Sync(dir) })
}

func (d *faultyDisk) RemoveTree(ctx context.Context, name string) (freed int64, err error) {
	err = d.do("remove tree "+name, func() error {
		freed, err = d.Disk.RemoveTree(ctx, name)
		return err
	})
	return freed, err
}

func (d *faultyDisk) LinkTree(ctx context.Context, from, to string) (sum linked.Sum, err error) {
	err = d.do("link "+from, func() error {
		sum, err = d.Disk.LinkTree(ctx, from, to)
		return err
	})
	return sum, err
}

func (d *faultyDisk) CompareTree(ctx context.Context, from, copied string) (sum linked.Sum, err error) {
	err = d.do("compare "+from, func() error {
		sum, err = d.Disk.CompareTree(ctx, from, copied)
		return err
	})
	return sum, err
}

func (d *faultyDisk) HoldsTree(ctx context.Context, from, copied string) error {
	return d.do("holds "+from, func() error { return d.Disk.HoldsTree(ctx, from, copied) })
}

func (d *faultyDisk) Like(from, to string) error {
	return d.do("like "+to, func() error { return d.Disk.Like(from, to) })
}

func (d *faultyDisk) Mounted(ctx context.Context, name string) error {
	return d.do("mounted "+name, func() error { return d.Disk.Mounted(ctx, name) })
}

// dies reports whether f ended in a crash.
func dies(f func()) (died bool) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case crash:
			died = true
		default:
			panic(r)
		}
	}()
	f()
	return false
}

// Whatever fails, and wherever the process ends: what lives is untouched,
// what was taken is freed, waits in quarantine or is back, the next run gets
// to the same end, and restore brings the rest back byte by byte (rules 10, 11
// and 15).
func TestEveryFault(t *testing.T) {
	for _, driver := range []string{"overlay2", "vfs"} {
		t.Run(driver, func(t *testing.T) { everyFault(t, driver, leaky) })
		t.Run(driver+"/offline", func(t *testing.T) { everyFault(t, driver, leakyOffline) })
		t.Run(driver+"/backend", func(t *testing.T) { everyFault(t, driver, leftBehind) })
		t.Run(driver+"/repair", func(t *testing.T) { everyFault(t, driver, brokenImages) })
	}
	for _, driver := range []string{"overlay", "aufs", "btrfs"} {
		t.Run(driver, func(t *testing.T) { everyFault(t, driver, leaky) })
	}
	t.Run("volumes", func(t *testing.T) { everyFault(t, "overlay2", leakyVolumes) })
}

func everyFault(t *testing.T, driver, script string) {
	count := func() int {
		w := newWorld(t, driver, script)
		disk := &faultyDisk{Disk: w.disk()}
		plan, owner := w.plan(prune.Options{})
		_, err := w.runner(disk).Execute(t.Context(), plan, owner)
		assert.NilError(t, err)
		return len(disk.ops)
	}()
	assert.Assert(t, count > 15, "only %d operations", count)
	for f := failBefore; f <= crashAfter; f++ {
		for n := 1; n <= count; n++ {
			t.Run(fmt.Sprintf("%s/%d", f, n), func(t *testing.T) {
				t.Parallel()
				faultAt(t, driver, script, f, n)
			})
		}
	}
}

func faultAt(t *testing.T, driver, script string, f fault, n int) {
	w := newWorld(t, driver, script)
	before := w.manifest()
	plan, owner := w.plan(prune.Options{})
	verdicts := w.verdicts()
	all := moved(plan, journal.Free, journal.Quarantine)
	disk := &faultyDisk{Disk: w.disk(), at: n, fault: f}
	w.t = t
	died := dies(func() {
		result, err := w.runner(disk).Execute(t.Context(), plan, owner)
		if err == nil && !result.Partly() {
			assert.DeepEqual(t, without(w.manifest(), all...), without(before, all...))
		}
	})
	assert.Equal(t, died, f >= crashBefore, "operation %s", disk.ops[n-1])
	w.assertRecords()
	assert.DeepEqual(t, without(w.manifest(), all...), without(before, all...))

	// The next run ends or undoes what was begun. Whatever it finds in
	// doubt, nothing that lives is listed.
	r := w.runner(w.disk())
	_, err := r.Recover(t.Context())
	assert.NilError(t, err)
	for name, v := range w.verdicts() {
		if v == "orphan" {
			assert.Equal(t, verdicts[name], "orphan", name)
		}
	}
	if w.repair { // of an image that was set aside in part the rest waits until it is back
		w.assertBack(r, before)
		return
	}
	again, owner := w.plan(prune.Options{})
	result, err := r.Execute(t.Context(), again, owner)
	assert.NilError(t, err)
	assert.Assert(t, !result.Partly(), "%v", result.Outcomes)
	assert.DeepEqual(t, w.manifest(), without(before, all...))
	left, _ := w.plan(prune.Options{})
	assert.Equal(t, left.String(), "")

	held, err := r.Held()
	assert.NilError(t, err)
	_, err = r.Restore(t.Context(), held)
	assert.NilError(t, err)
	assert.DeepEqual(t, w.manifest(), without(before, moved(plan, journal.Free)...))
	runs, err := journal.Read(r.Tree)
	assert.NilError(t, err)
	for _, run := range runs {
		assert.Assert(t, run.Plan == nil || run.Done, "run %s has no end", run.ID)
	}
}

// assertBack asserts that what an interrupted repair took comes back.
func (w *world) assertBack(r *prune.Runner, before map[string]string) {
	w.t.Helper()
	held, err := r.Held()
	assert.NilError(w.t, err)
	_, err = r.Restore(w.t.Context(), held)
	assert.NilError(w.t, err)
	assert.DeepEqual(w.t, w.manifest(), before)
}

// Putting back what an interrupted run took can fail or end anywhere, too.
func TestEveryFaultOfRecover(t *testing.T) {
	for _, script := range []string{leaky, leakyOffline, leftBehind, leakyVolumes, brokenImages} {
		for f := failBefore; f <= crashAfter; f++ {
			for n, more := 1, true; more; n++ {
				more = recoverFault(t, script, f, n)
				assert.Assert(t, more || n > 5, "only %d operations", n-1)
			}
		}
	}
}

func recoverFault(t *testing.T, script string, f fault, n int) (more bool) {
	w := newWorld(t, "overlay2", script)
	before := w.manifest()
	plan, owner := w.plan(prune.Options{})
	last := plan.Steps[len(plan.Steps)-1].Moves
	disk := &faultyDisk{Disk: w.disk(), fault: crashAfter, what: "rename " + last[len(last)-1].From}
	assert.Assert(t, dies(func() { _, _ = w.runner(disk).Execute(t.Context(), plan, owner) }))
	disk = &faultyDisk{Disk: w.disk(), at: n, fault: f}
	_ = dies(func() { _, _ = w.runner(disk).Recover(t.Context()) }) // what came of it is seen below
	w.assertRecords()
	_, err := w.runner(w.disk()).Recover(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, w.manifest(), before)
	return disk.done >= n
}

// Restore and purge, too, can fail or end anywhere.
func TestEveryFaultOfRestore(t *testing.T) {
	for name, script := range map[string]string{"": leaky, "volumes ": leakyVolumes} {
		for _, what := range []string{"restore", "purge"} {
			for f := failBefore; f <= crashAfter; f++ {
				for n := 1; ; n++ {
					more := true
					t.Run(fmt.Sprintf("%s%s/%s/%d", name, what, f, n), func(t *testing.T) { more = restoreFault(t, script, what, f, n) })
					if !more {
						assert.Assert(t, n > 3, "only %d operations", n-1)
						break
					}
				}
			}
		}
	}
}

func restoreFault(t *testing.T, script, what string, f fault, n int) (more bool) {
	w := newWorld(t, "overlay2", script)
	before := w.manifest()
	plan, owner := w.plan(prune.Options{})
	_, err := w.runner(w.disk()).Execute(t.Context(), plan, owner)
	assert.NilError(t, err)
	disk := &faultyDisk{Disk: w.disk(), at: n, fault: f}
	r := w.runner(disk)
	act := func(r *prune.Runner) error {
		held, err := r.Held()
		assert.NilError(t, err)
		if what == "restore" {
			_, err = r.Restore(t.Context(), held)
		} else {
			_, err = r.Purge(t.Context(), held)
		}
		return err
	}
	_ = dies(func() { _ = act(r) }) // what came of it is seen below
	r = w.runner(w.disk())
	_, err = r.Recover(t.Context())
	assert.NilError(t, err)
	assert.NilError(t, act(r))
	want := without(before, moved(plan, journal.Free, journal.Quarantine)...)
	if what == "restore" {
		want = without(before, moved(plan, journal.Free)...)
	}
	assert.DeepEqual(t, w.manifest(), want)
	left, _ := w.plan(prune.Options{})
	assert.Equal(t, strings.TrimSpace(left.String()), "")
	return disk.done >= n
}
