//go:build linux

package adopt

import (
	"testing"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"gotest.tools/v3/assert"
)

// lost is a live image and container, and the orphaned chains a-b-c and a-b-d
// on the live image's layer.
const lost = `
image live: base
container web live
image one: base a b c
image two: base a b d
rm image/DRIVER/imagedb/content/sha256/{image one}
rm image/DRIVER/imagedb/content/sha256/{image two}
write image/DRIVER/repositories.json "{}"
online started=1h
forget {image one}
forget {image two}
`

func TestCascades(t *testing.T) {
	// What keeps the layer that a cascade ends on, once the live image does not.
	baseKeptBy := func(p *place, from scan.Node, why scan.Why) {
		base, err := p.Expand("{chain one 1}")
		assert.NilError(t, err)
		p.graph.Marks = nil
		p.graph.Refer(from, scan.ChainNode("overlay2", base), why)
	}
	for _, test := range []struct {
		name, script string
		but          []string       // findings that are not to go
		more         func(p *place) // changes what was read
		want         string
	}{
		{name: "one adoption releases every ancestor that nothing else keeps", script: lost, want: `
adopt: {chain one 4}={layer c}
adopt: {chain two 4}={layer d} {chain two 3}={layer b} {chain two 2}={layer a}
`},
		{name: "a chain that is not to go keeps what it lies on", script: lost, but: []string{"{chain one 4}"}, want: `
adopt: {chain two 4}={layer d}
left: {chain two 3}: {chain one 4} needs it
left: {chain two 2}: {chain one 4} needs it
`},
		{name: "nothing falls that was not to go", script: lost, but: []string{"{chain two 2}"}, want: `
adopt: {chain one 4}={layer c}
left: {chain two 4}: {chain two 2} below it would go too, and is not to go: nothing that the daemon counts for certain keeps it
left: {chain two 3}: {chain two 2} below it would go too, and is not to go: nothing that the daemon counts for certain keeps it
`},
		{name: "a whole chain without a base that stays", script: `
image live: base
container web live
image one: a b
rm image/DRIVER/imagedb/content/sha256/{image one}
write image/DRIVER/repositories.json "{}"
online started=1h
forget {image one}
`, want: `
adopt: {chain one 2}={layer b} {chain one 1}={layer a}
`},
		{name: "a layer without a record that is not to go lies on it", script: one + "layer twin on b a base\n", but: []string{"{layer twin}"}, want: `
left: {chain one 3}: {layer twin} needs it
left: {chain one 2}: {layer twin} needs it
`},
		{name: "the same, but it is to go", script: one + "layer twin on b a base\n", want: `
adopt: {chain one 3}={layer b} {chain one 2}={layer a}
`},
		{name: "a live layer lies on it by way of a duplicate", script: one + `
layer twin on a base
image other: base x
write LAYERS/{layer x}/lower "l/{link twin}"
`, more: everythingOrphan, want: `
left: {chain one 3}: {chain one 2} below it would go too, and is not to go: nothing that the daemon counts for certain keeps it
left: {chain one 2}: other:1 needs it
left: {chain other 1}: other:1 needs it
left: {chain other 2}: other:1 needs it
`},
		{name: "an image that only the disk knows keeps what it lies on from falling", script: bare, more: func(p *place) {
			baseKeptBy(p, scan.ImageNode("sha256:disk"), scan.ByDiffIDs)
		}, want: uncertain},
		{name: "so does a build", script: bare, more: func(p *place) {
			baseKeptBy(p, scan.Node{Kind: scan.KindBuild, Name: "record"}, scan.BySnapshot)
		}, want: uncertain},
		{name: "so does a mount record that was made since the daemon started", script: bare, more: func(p *place) {
			record := scan.MountNode("overlay2", "new")
			p.graph.Add(scan.Object{Node: record, Stamp: scan.Stamp{Change: time.Now().Add(2 * time.Hour)}})
			baseKeptBy(p, record, scan.ByParent)
		}, want: uncertain},
		{name: "a mount record from before is counted", script: bare, more: func(p *place) {
			record := scan.MountNode("overlay2", "old")
			p.graph.Add(scan.Object{Node: record, Stamp: scan.Stamp{Change: time.Now()}})
			baseKeptBy(p, record, scan.ByParent)
		}, want: certain},
		{name: "but not where the chain itself was put back later", script: bare, more: func(p *place) {
			record := scan.MountNode("overlay2", "old")
			p.graph.Add(scan.Object{Node: record, Stamp: scan.Stamp{Change: time.Now()}})
			baseKeptBy(p, record, scan.ByParent)
			base, err := p.Expand("{chain one 1}")
			assert.NilError(t, err)
			p.graph.Object(scan.ChainNode("overlay2", base)).Stamp.Change = time.Now().Add(2 * time.Hour)
		}, want: uncertain},
		{name: "a container that the daemon lists is counted", script: bare, more: func(p *place) {
			record, container := scan.MountNode("overlay2", "new"), scan.ContainerNode("new")
			p.graph.Add(scan.Object{Node: record, Stamp: scan.Stamp{Change: time.Now().Add(2 * time.Hour)}})
			baseKeptBy(p, record, scan.ByParent)
			p.graph.Refer(container, record, scan.ByRWLayer)
			p.graph.Live(container, "container", "GET /containers/json")
		}, want: certain},
		{name: "a layer that is not there", script: one + "rm LAYERS/{layer b}\n", more: everythingOrphan, want: `
left: {chain one 3}: its layer is not there
left: {chain one 2}: a chain on it stays
left: {chain one 1}: live:1 needs it
`},
		{name: "half of the chain is not there", script: one + "rm image/DRIVER/layerdb/sha256/{chain one 2}\n", more: everythingOrphan, want: `
left: {chain one 3}: half of its chain is gone: there is no {chain one 2}
left: {chain one 1}: live:1 needs it
`},
		{name: "another driver than the daemon's", script: one, more: func(p *place) { p.graph.Host.Info.Driver = "vfs" }, want: `
left: {chain one 3}: it is of overlay2, and the daemon uses vfs
left: {chain one 2}: it is of overlay2, and the daemon uses vfs
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := draw(t, test.script)
			if test.more != nil {
				test.more(p)
			}
			var but []string
			for _, b := range test.but {
				name, err := p.Expand(b)
				assert.NilError(t, err)
				but = append(but, name)
			}
			assert.Equal(t, "\n"+p.describe(Cascades(p.graph, p.but(but...))), test.want)
		})
	}
}

// bare is a live image and the orphaned chain a-b on its layer, one the same
// with a container.
const one = bare + `
container web live
`

const bare = `
image live: base
image one: base a b
rm image/DRIVER/imagedb/content/sha256/{image one}
write image/DRIVER/repositories.json "{}"
online started=1h
forget {image one}
`

const certain = `
adopt: {chain one 3}={layer b} {chain one 2}={layer a}
`

const uncertain = `
left: {chain one 3}: {chain one 1} below it would go too, and is not to go: nothing that the daemon counts for certain keeps it
left: {chain one 2}: {chain one 1} below it would go too, and is not to go: nothing that the daemon counts for certain keeps it
`

// everythingOrphan is a judge that is wrong about every image layer.
func everythingOrphan(p *place) {
	for i := range p.findings {
		if p.findings[i].Type == scan.TypeImageLayer {
			p.findings[i].Verdict = scan.Orphan
		}
	}
}
