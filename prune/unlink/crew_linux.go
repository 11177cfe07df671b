package unlink

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// A Crew removes trees. Its Remove may be called at the same time, as often as
// there is work: small trees are best removed side by side, and a big one is
// shared out among workers that no other tree needs.
type Crew struct {
	calls   *beneath.Calls // nil: the kernel is asked
	spare   chan struct{}  // a token for each worker beside the callers of Remove
	windows chan *window   // the one window, unless it is in use
	lists   sync.Pool      // *[beneath.ListSize]byte
	linked  sync.Mutex     // held while one of several names of an inode goes
}

// New returns a Crew that uses, beside the goroutine of each call of Remove, up
// to workers-1 more in all; as many as there are processors if workers is 0.
func New(workers int) *Crew {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	c := &Crew{
		spare:   make(chan struct{}, workers-1),
		windows: make(chan *window, 1),
		lists:   sync.Pool{New: func() any { return new([beneath.ListSize]byte) }},
	}
	c.windows <- &window{list: make([]byte, windowSize)}
	return c
}

// Remove removes the entry of the directory with all that is below it. The name
// has one element. The error is nil if nothing of it is left; the report says
// what was done in any case.
func (c *Crew) Remove(ctx context.Context, dir *os.File, name string, o Options) (Report, error) {
	defer runtime.KeepAlive(dir)
	defer runtime.KeepAlive(o.Trash)
	r := &removal{Crew: c, ctx: ctx, Options: o}
	err := r.from(int(dir.Fd()), name)
	if err != nil {
		err = fmt.Errorf("%s: %w", beneath.Shown(name), err)
	}
	return r.report, err
}

// A removal is one call of Remove.
type removal struct {
	*Crew
	Options
	ctx     context.Context
	calls   beneath.Calls
	mount   uint64 // the tree's; 0: not known, and the kernel sees to it
	workers sync.WaitGroup
	mounted atomic.Pointer[error] // what Mounted said, once it said no
	deep    deep

	mu     sync.Mutex
	report Report
}

// from removes the entry of a directory.
func (r *removal) from(dir int, name string) error {
	if beneath.Check(name) != nil || name == "." || strings.Contains(name, "/") {
		return beneath.ErrName
	}
	if r.Mounted == nil {
		return ErrUnasked
	}
	if err := r.settle(dir); err != nil {
		return err
	}
	if err := r.ask(); err != nil {
		return err
	}
	ended := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { r.watch(ended) })
	err := r.top(dir, name)
	r.workers.Wait()
	close(ended)
	watch.Wait()
	r.bury()
	if err != nil {
		return err
	}
	return r.verdict()
}

// settle finds out what the kernel can do, and where the tree may be.
func (r *removal) settle(dir int) error {
	if r.Crew.calls != nil {
		r.calls = *r.Crew.calls
	} else {
		r.calls = beneath.Probe(dir)
	}
	var st beneath.Stat
	if err := r.calls.Fstat(dir, &st); err != nil {
		return err
	}
	r.mount = st.Mount
	device := st.Device
	if !r.known(&st) {
		return ErrUnsafe
	}
	if r.Trash == nil {
		return nil
	}
	if err := r.calls.Fstat(int(r.Trash.Fd()), &st); err != nil {
		return fmt.Errorf("trash: %w", err)
	}
	if st.Mount != r.mount || st.Device != device {
		return fmt.Errorf("trash: %w", ErrTrash)
	}
	return nil
}

// known reports whether a file that was opened is sure to be on the mount that
// its stat says.
func (r *removal) known(st *beneath.Stat) bool { return r.calls.Openat2 || st.Mount != 0 }

// ask asks whether anything is mounted.
func (r *removal) ask() error {
	err := r.Mounted()
	if err != nil {
		r.mounted.Store(&err)
	}
	return err
}

// watch asks each second, until the removal has ended or must end.
func (r *removal) watch(ended <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			if r.ask() != nil {
				return
			}
		}
	}
}

// stopped reports whether nothing more may be removed.
func (r *removal) stopped() bool { return r.ctx.Err() != nil || r.mounted.Load() != nil }

// top removes the tree itself.
func (r *removal) top(dir int, name string) error {
	var st beneath.Stat
	fd, err := r.calls.PathOn(dir, name, r.mount, &st)
	if err == unix.EXDEV {
		return ErrMount
	}
	if err != nil {
		return err
	}
	unix.Close(fd) // it only told what it is
	if st.Type() == unix.S_IFLNK && !r.Link {
		return ErrSymlink
	}
	w := r.worker()
	defer w.done()
	base := &frame{fixed: true, fd: dir}
	base.open.Store(1)
	if st.Type() == unix.S_IFDIR {
		w.below(base, name)
	} else {
		w.file(base, append([]byte(name), 0)[:len(name)])
	}
	return nil
}

// verdict is what is wrong with what was done.
func (r *removal) verdict() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if r.mounted.Load() == nil {
		_ = r.ask() // kept in r.mounted
	}
	if err := r.mounted.Load(); err != nil {
		return *err
	}
	if r.report.Stay > 0 {
		return fmt.Errorf("%d left: %w", r.report.Stay, &r.report.Left[0])
	}
	return nil
}

// merge adds what a worker did.
func (r *removal) merge(done *Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.add(done)
}
