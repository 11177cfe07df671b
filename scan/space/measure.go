package space

import (
	"cmp"
	"context"
	"path"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/containerd"
)

// Measure walks the data root of a scan. findings are all of it, used ones too;
// mounts are the mount points below the data root, relative to it; c is what is
// known of a containerd whose root is below, or nil. progress, if any, is called
// as the walk goes on, never from two goroutines at once. The only error is a
// cancelled context.
func Measure(ctx context.Context, in *scan.Input, g *scan.Graph, findings []*scan.Finding, mounts []string, c *containerd.Root, progress func(done, total int)) (*Ledger, error) {
	p := newPartition(in, g, findings, mounts)
	if c != nil {
		p.stored = contain(c, in)
		p.above(path.Join(c.Below, "x"))
	}
	return p.measure(ctx, progress)
}

// MeasureContainerd walks a containerd's root that is not below the data root of
// in, whose containers are those that are known.
func MeasureContainerd(ctx context.Context, in *scan.Input, c *containerd.Root, progress func(done, total int)) (*Ledger, error) {
	own := &scan.Input{Tree: c.Tree, DataRoot: c.Path, Proc: in.Proc}
	mounts, err := Mounts(own)
	if err != nil {
		return nil, err
	}
	p := newPartition(own, scan.NewGraph(), nil, mounts)
	p.stored = contain(c, in)
	return p.measure(ctx, progress)
}

func (p *partition) measure(ctx context.Context, progress func(done, total int)) (*Ledger, error) {
	if err := p.add(ctx, ".", nil); err != nil {
		return nil, err
	}
	if err := p.walk(ctx, progress); err != nil {
		return nil, err
	}
	p.book()
	return p.ledger, nil
}

// walk measures every parcel, several at a time.
func (p *partition) walk(ctx context.Context, progress func(done, total int)) error {
	var mu sync.Mutex
	done := 0
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i := range p.parcels {
		group.Go(func() error {
			c := &p.parcels[i]
			if c.own == nil {
				u, err := p.in.Tree.Walk(ctx, nil, c.name)
				if err != nil {
					return err
				}
				c.own = &u
				if c.extents, c.told, err = p.extents(ctx, c.name); err != nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			if progress != nil {
				progress(done, len(p.parcels))
			}
			return nil
		})
	}
	return group.Wait()
}

// book enters what was walked. An inode with several names is booked where the
// first of them is, and so are blocks that several files share.
func (p *partition) book() {
	l := p.ledger
	booked := map[scan.FileKey]bool{}
	p.bookOnce()
	for _, c := range p.parcels {
		for _, s := range c.own.Shared {
			if !booked[s.FileKey] {
				booked[s.FileKey] = true
				c.own.Bytes += s.Bytes
				c.own.Inodes++
			}
		}
		c.item.add(c.own)
	}
	for _, i := range l.Items {
		l.Bytes += i.Bytes
		l.Inodes += i.Inodes
		l.AtMost = l.AtMost || i.AtMost
		l.Partial = l.Partial || !i.Complete
	}
	l.Items = slices.DeleteFunc(l.Items, func(i *Item) bool { return i.Inodes == 0 && i.Complete }) // gone meanwhile
	slices.SortStableFunc(l.Items, func(a, b *Item) int {
		return cmp.Or(
			slices.Index(Accounts, a.Account)-slices.Index(Accounts, b.Account), cmp.Compare(a.kind(), b.kind()),
			cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Name, b.Name),
		)
	})
}
