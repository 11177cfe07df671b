package space

import (
	"cmp"
	"context"
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/usage"
)

// A sharer is a tree that can tell which blocks of files are others' too;
// see [usage.Walker.Extents].
type sharer interface {
	Extents(ctx context.Context, names ...string) (list []usage.Extent, complete bool, err error)
}

// extents asks for those of what is at and below a name.
func (p *partition) extents(ctx context.Context, name string) (list []usage.Extent, told bool, err error) {
	if tree, ok := p.in.Tree.(sharer); ok {
		return tree.Extents(ctx, name)
	}
	return nil, false, nil
}

// bookOnce takes off the parcels what files of another one before, or of the same,
// have too.
func (p *partition) bookOnce() {
	of := map[scan.FileKey]int{} // a file with several names is in the first parcel that has one
	var exact, whole []part
	for i := range p.parcels {
		c := &p.parcels[i]
		for _, e := range c.extents {
			if first, ok := of[e.File]; ok && first != i {
				continue
			}
			of[e.File] = i
			if e.Whole {
				whole = append(whole, part{e, i})
			} else {
				exact = append(exact, part{e, i})
			}
		}
		c.own.AtMost = c.own.AtMost && !c.told
		c.extents = nil
	}
	var start, end uint64
	for _, e := range sorted(exact) {
		p.again(e, min(e.Length, max(end, e.Start)-e.Start))
		end = max(end, e.Start+e.Length)
	}
	for i, e := range sorted(whole) {
		if i == 0 || e.Start != start {
			start, end = e.Start, 0
		}
		p.again(e, min(e.Length, end))
		end = max(end, e.Length)
	}
}

// A part is an extent of a parcel.
type part struct {
	usage.Extent
	parcel int
}

func sorted(parts []part) []part {
	slices.SortFunc(parts, func(a, b part) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.parcel, b.parcel)) })
	return parts
}

// again takes off what was booked before. A file may have been written since it
// was walked.
func (p *partition) again(e part, bytes uint64) {
	own := p.parcels[e.parcel].own
	own.Bytes = max(0, own.Bytes-int64(bytes))
}
