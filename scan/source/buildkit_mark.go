package source

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/docker-orphans/docker-orphans/scan"
)

// mark makes everything live that a record, a lease or a snapshot names, and
// refers from it to what it needs.
func (bk *buildKit) mark() string {
	stale := 0
	for _, key := range slices.Sorted(maps.Keys(bk.snapshots)) {
		s := bk.snapshots[key]
		if s.layer {
			bk.needLayer(key, key, buildSnapshots)
			bk.need(key, s.parent, buildSnapshots)
		}
		if s.committed != "" {
			bk.needLayer(key, s.committed, buildSnapshots)
		}
		if isChainKey(key) {
			bk.needChain(key, key, buildSnapshots)
		}
		switch {
		case s.chain == "":
		case s.committed != "" || bk.current(key):
			bk.needChain(key, s.chain, buildSnapshots)
			bk.unregistered(key, s)
		default:
			// The daemon writes such a bucket when a lease takes a chain and
			// never removes it: were they live, no chain that was ever built
			// upon could be an orphan. A chain goes by adoption only, where
			// the daemon's own count of references has the last word.
			stale++
		}
	}
	for _, lease := range slices.Sorted(maps.Keys(bk.leases)) {
		for _, key := range bk.leases[lease] {
			bk.need(lease, key, buildLeases)
		}
	}
	for _, record := range slices.Sorted(maps.Keys(bk.records)) {
		for _, key := range bk.records[record] {
			bk.need(record, key, buildRecords)
			bk.lost(record, key)
		}
	}
	note := fmt.Sprintf("%d records, %d leases, %d snapshots", len(bk.records), len(bk.leases), len(bk.snapshots)-stale)
	if stale > 0 {
		note += fmt.Sprintf("; %d stale leases of chains", stale)
	}
	return note
}

// lost tells of a record whose layer is gone though no chain was made of it,
// whose release would have taken the layer along.
func (bk *buildKit) lost(record, key string) {
	s, ok := bk.snapshots[key]
	if s.committed != "" {
		key = s.committed
	}
	if !ok || s.chain != "" || !s.layer && s.committed == "" || !scan.IsBuildID(key) {
		return
	}
	for _, b := range bk.in.Backends {
		if isThere(bk.in, bk.g, b.Layer(key)) {
			return
		}
	}
	bk.g.Host.LostBuilds = append(bk.g.Host.LostBuilds, scan.Loss{
		Node: scan.Node{Kind: scan.KindBuild, Name: scan.Printable(record)}, What: "its layer " + key + " is gone",
	})
}

// unregistered doubts a record whose layer is there while the chain that was
// made of it is in no registry: it may name another.
func (bk *buildKit) unregistered(key string, s buildSnapshot) {
	has := func(node func(b *scan.Backend) scan.Node) bool {
		return slices.ContainsFunc(bk.in.Backends, func(b *scan.Backend) bool { return isThere(bk.in, bk.g, node(b)) })
	}
	if !has(func(b *scan.Backend) scan.Node { return b.Layer(s.committed) }) ||
		has(func(b *scan.Backend) scan.Node { return scan.ChainNode(b.Name, s.chain) }) {
		return
	}
	const hint = "`docker builder prune --all` drops the record"
	bk.doubt(buildSnapshots, fmt.Errorf("snapshot %q: chain %q is not registered", key, s.chain), hint)
}

// current reports whether a record or a lease of this name exists.
func (bk *buildKit) current(name string) bool {
	_, record := bk.records[name]
	_, lease := bk.leases[name]
	return record || lease
}

// need makes live what a snapshot's key stands for.
func (bk *buildKit) need(owner, key, where string) {
	if isChainKey(key) {
		bk.needChain(owner, key, where)
		return
	}
	if s := bk.snapshots[key]; s.committed != "" {
		key = s.committed
	}
	bk.needLayer(owner, key, where)
}

// needLayer makes a layer live, in whichever backend has it.
func (bk *buildKit) needLayer(owner, id, where string) {
	if !scan.IsBuildID(id) {
		return // no layer of BuildKit's has such a name
	}
	for _, b := range bk.in.Backends {
		bk.refer(owner, b.Layer(id), where)
	}
}

// needChain makes a chain live, in whichever backend's registry has it.
func (bk *buildKit) needChain(owner, chain, where string) {
	if !isChainKey(chain) {
		return
	}
	for _, b := range bk.in.Backends {
		bk.refer(owner, scan.ChainNode(b.Name, chain), where)
	}
}

// refer adds a reference from a record to what is there. What is not there is
// cache that was lost: nobody misses it, and it is in one backend at most.
func (bk *buildKit) refer(owner string, to scan.Node, where string) {
	if !isThere(bk.in, bk.g, to) {
		return
	}
	from := scan.Node{Kind: scan.KindBuild, Name: scan.Printable(owner)}
	if !bk.live[from] {
		bk.live[from] = true
		bk.g.Live(from, "build record "+from.Name, where)
	}
	bk.g.Refer(from, to, scan.BySnapshot)
}

// isThere reports whether a node was enumerated or was made since. What
// cannot be told counts as there.
func isThere(in *scan.Input, g *scan.Graph, n scan.Node) bool {
	if g.Object(n) != nil {
		return true
	}
	_, err := in.Tree.Stat(n.Name)
	return !errors.Is(err, fs.ErrNotExist)
}
