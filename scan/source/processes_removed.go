package source

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/process"
)

// removedFile takes note of a file of the data root that has no name any more:
// by its path there, or on the overlay of a container.
func (p *processes) removedFile(f *process.File, s sighting) {
	if f.Links > 0 || f.Bytes == 0 || !f.Mode.IsRegular() || f.Key().Inode == 0 || f.Use == process.Mapping {
		return // of a mapping the table tells less; what is mapped is most often open too
	}
	below := p.devices.of(f) == inData && strings.HasPrefix(f.Path, p.in.DataRoot+"/")
	if !below && !p.devices.layered[f.Stamp.Device] {
		return
	}
	p.removed[f.Key()] = scan.RemovedFile{OpenFile: scan.OpenFile{FileKey: f.Key(), By: s.String()}, Path: f.Named(), Bytes: f.Bytes}
}

// addRemoved lists them, the biggest first.
func (p *processes) addRemoved() {
	p.g.Host.Removed = slices.SortedFunc(maps.Values(p.removed), func(a, b scan.RemovedFile) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Inode, b.Inode))
	})
}
