package space

import "github.com/docker-orphans/docker-orphans/scan"

// An Account is what space is used for.
type Account string

// The accounts, in the order in which a person reads them.
const (
	Images         Account = "images"           // layers that an image needs, or a container whose image is gone
	WritableLayers Account = "writable layers"  // what containers wrote
	Volumes        Account = "volumes"          // those of the local driver
	BuildCache     Account = "build cache"      // layers that only builds need, and their records
	Pool           Account = "thin pool"        // of devicemapper: the files that all layers are in
	Logs           Account = "container logs"   // of the logging drivers json-file and local
	Containers     Account = "container files"  // configs, checkpoints and what else is in containers/
	Plugins        Account = "plugins"          // their file systems too
	Swarm          Account = "swarm"            // the node's state
	Records        Account = "records"          // of images, layers and networks
	Temporary      Account = "temporary files"  // tmp/ and what an interrupted operation left
	Dormant        Account = "unused drivers"   // of storage drivers that the daemon does not use now
	Namespaces     Account = "other namespaces" // of containerd: others than Docker use it too
	Quarantine     Account = "quarantine"       // what was removed and can be brought back, and the journals
	Orphans        Account = "orphans"          // by type
	NotJudged      Account = "not judged"       // young, held, kept by a list or unsure, and nothing that needs it; of containerd's what a lease alone keeps, or nothing
	Unknown        Account = "unknown"          // of no name that Docker gives
)

// Accounts lists all of them.
var Accounts = []Account{
	Images, WritableLayers, Volumes, BuildCache, Pool, Logs, Containers, Plugins, Swarm, Records, Temporary, Dormant,
	Namespaces, Quarantine, Orphans, NotJudged, Unknown,
}

// An owner tells which account the findings of a scan belong to.
type owner struct {
	edges   *scan.Edges
	byImage map[scan.Node]bool // what an image needs, at whatever distance
	byBuild map[scan.Node]bool
}

func newOwner(g *scan.Graph) *owner {
	edges := g.Edges()
	return &owner{edges: edges, byImage: needed(g, edges, scan.KindImage), byBuild: needed(g, edges, scan.KindBuild)}
}

// needed lists what live nodes of a kind lead to.
func needed(g *scan.Graph, edges *scan.Edges, kind scan.Kind) map[scan.Node]bool {
	found := map[scan.Node]bool{}
	var queue []scan.Node
	for _, m := range g.Marks {
		if m.Node.Kind == kind && !found[m.Node] {
			found[m.Node] = true
			queue = append(queue, m.Node)
		}
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for r := range edges.From(n) {
			if !found[r.To] {
				found[r.To] = true
				queue = append(queue, r.To)
			}
		}
	}
	return found
}

// account is that of a finding. Only what is in use is an image's or a
// container's; what merely was not judged may be anything.
func (o *owner) account(f *scan.Finding) Account {
	if f.Verdict == scan.Orphan {
		return Orphans
	}
	switch f.Type {
	case scan.TypeBackend:
		return Dormant
	case scan.TypeVolume, scan.TypeBuilder:
		return Volumes
	}
	if f.Verdict != scan.Used {
		return NotJudged
	}
	switch {
	case f.Type == scan.TypeDownload:
		return Temporary
	case f.Type == scan.TypeBuild:
		return BuildCache
	case f.Type == scan.TypeMetadata:
		return Records
	case f.Type == scan.TypeRWLayer:
		return WritableLayers
	case f.Type == scan.TypeContainer:
		return Containers
	case o.any(f, o.byImage):
		return Images
	case o.any(f, o.byBuild):
		return BuildCache
	case f.Type == scan.TypeImageLayer:
		return Images // of a container whose image is gone
	case f.Type == scan.TypeLink:
		return Records
	}
	return o.other(f)
}

// other is the account of a layer that neither an image nor a build needs.
func (o *owner) other(f *scan.Finding) Account {
	for r := range o.edges.To(f.Parts[0].Node) {
		switch r.From.Kind {
		case scan.KindVolume:
			return Volumes
		case scan.KindContainer, scan.KindMount:
			return WritableLayers
		}
	}
	return NotJudged
}

func (o *owner) any(f *scan.Finding, set map[scan.Node]bool) bool {
	for _, part := range f.Parts {
		if set[part.Node] {
			return true
		}
	}
	return false
}
