package source

import (
	"cmp"
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
)

// byInode holds the objects that a process has open as such, whatever path it
// came by, and lists what is left: a walk of an orphan looks for it.
func (p *processes) byInode() {
	if len(p.inodes) == 0 {
		return
	}
	for i := range p.g.Objects {
		o := &p.g.Objects[i]
		if s, ok := p.inodes[scan.FileKey{Device: o.Stamp.Device, Inode: o.Stamp.Inode}]; ok {
			p.hold(o.Node, s.what)
		}
	}
	p.byDiff()
	for key, s := range p.loose {
		p.g.Host.Strays = append(p.g.Host.Strays, scan.OpenFile{FileKey: key, By: s.String()})
	}
	slices.SortFunc(p.g.Host.Strays, func(a, b scan.OpenFile) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Inode, b.Inode))
	})
}

// contents are the directories in a layer's own that have its files: with the
// first overlay driver root or upper, with its successors diff.
var contents = []string{"diff", "root", "upper"}

// byDiff holds the layers whose content's directory is a working directory or
// a root that no path leads to: most often the root of a process that unpacks
// one. Asking for every layer's is worth it only then.
func (p *processes) byDiff() {
	var dirs int
	for _, s := range p.loose {
		if s.dir {
			dirs++
		}
	}
	if dirs == 0 {
		return
	}
	for i := range p.g.Objects {
		o := &p.g.Objects[i]
		if o.Kind != scan.KindLayer || o.Unrecognised != "" || p.held[o.Node] {
			continue
		}
		for _, dir := range contents {
			// A layer without such a directory, or one that cannot be read, is
			// still found by a walk of it.
			info, err := p.in.Tree.Stat(o.Path() + "/" + dir)
			if err != nil {
				continue
			}
			if s, ok := p.loose[scan.FileKey{Device: info.Stamp.Device, Inode: info.Stamp.Inode}]; ok {
				p.hold(o.Node, s.what)
			}
		}
	}
}
