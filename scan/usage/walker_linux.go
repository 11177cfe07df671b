package usage

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/btrfs"
	"github.com/docker-orphans/docker-orphans/scan/tree/beneath"
)

// A Walker walks. Its Walk may be called at the same time, as often as there is
// work: small trees are best walked side by side, and a big one is shared out
// among goroutines that no other walk needs.
type Walker struct {
	calls beneath.Calls
	spare chan struct{} // a token for each goroutine beside the callers'
	lists sync.Pool     // *[beneath.ListSize]byte
}

// New returns a Walker that uses, beside the goroutine of each call of Walk, up
// to workers-1 more in all.
func New(calls beneath.Calls, workers int) *Walker {
	return &Walker{
		calls: calls,
		spare: make(chan struct{}, max(workers-1, 0)),
		lists: sync.Pool{New: func() any { return new([beneath.ListSize]byte) }},
	}
}

// Walk adds up what is at and below the names, which are relative to root, a
// descriptor of a directory. None may lie below another. It implements
// [scan.Tree]'s Walk.
func (w *Walker) Walk(ctx context.Context, root int, watch scan.Watch, names ...string) (scan.Usage, error) {
	k := &walk{Walker: w, ctx: ctx, watch: watch, linked: map[scan.FileKey]scan.SharedFile{}}
	for _, name := range names {
		k.from(root, name)
	}
	k.workers.Wait()
	if err := ctx.Err(); err != nil {
		return scan.Usage{}, err
	}
	u := k.sum.usage()
	for _, file := range k.linked {
		if file.Names < file.Links {
			u.Shared = append(u.Shared, file)
			continue
		}
		u.Bytes += file.Bytes
		u.Inodes++
	}
	slices.SortFunc(u.Shared, func(a, b scan.SharedFile) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Inode, b.Inode))
	})
	return u, nil
}

// A walk is one call of Walk.
type walk struct {
	*Walker
	ctx     context.Context
	watch   scan.Watch
	workers sync.WaitGroup

	asked sync.Once
	quota btrfs.Quota // of the file system that subvolumes are met on

	extents *extents // nil: it adds up

	mu     sync.Mutex
	linked map[scan.FileKey]scan.SharedFile // inodes with more than one name
	sum    sum
}

// from walks one name. It is on a mount of its own unless its directory is on
// the same.
func (k *walk) from(root int, name string) {
	w := k.worker(territory{top: name})
	defer w.done()
	if err := beneath.Check(name); err != nil {
		w.problem(nil, name, err)
		return
	}
	parent, base := split(name)
	dir, err := k.calls.PathDir(root, parent)
	if err != nil {
		w.problem(nil, base, err)
		return
	}
	defer unix.Close(dir) // nothing was written through it
	var st beneath.Stat
	if err := k.calls.Fstat(dir, &st); err != nil {
		w.problem(nil, base, err)
		return
	}
	w.mount = st.Mount
	above := &frame{fd: dir, device: st.Device}
	if err := w.lstat(dir, base, &st); err != nil {
		w.problem(nil, base, err)
		return
	}
	if st.Type() != unix.S_IFDIR {
		w.file(above, []byte(base), &st)
		return
	}
	if f, ok := w.enter(above, base); ok {
		w.push(f)
		w.run()
	} else if w.sum.trouble.text == "" {
		w.problem(nil, base, unix.ENOENT) // gone since lstat
	}
}

// split cuts a name into its directory and its last element.
func split(name string) (dir, base string) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return ".", name
	}
	return name[:i], name[i+1:]
}

// merge adds what a worker found.
func (k *walk) merge(s *sum) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sum.add(s)
}
