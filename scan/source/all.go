// Package source lists the sources of references: everything that says what
// is in use. A source is one file and one line in All.
//
// A source that cannot read something says so with a doubt, never with
// silence. It decides nothing.
package source

import (
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// All lists every source in the order in which they are read: each record
// before the records that name it, so that what is made meanwhile is missing
// a namer at worst, which its age covers.
var All = []*scan.Source{
	Quarantine,
	VolumeDirs,
	Backends,
	Roots,
	Downloads,
	Leftovers,
	Graph,
	LayerDB,
	ImageDB,
	Registries,
	Containers,
	BuildKit,
	Plugins,
	Volumes,
	Swarm,
	API,
	Sight,
	System,
	Mounts,
	Processes,
	Devices,
	Origins,
	Names,
	Keep,
}

// Again lists every source for one who looks at a data root again and again.
func Again() []*scan.Source {
	sources := slices.Clone(All)
	sources[slices.Index(sources, Quarantine)] = quarantineOf((&journal.Reader{}).Read)
	return sources
}
