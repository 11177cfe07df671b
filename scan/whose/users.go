package whose

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// users adds what needs any of these, at whatever distance.
func (x *Index) users(a *Answer, nodes ...scan.Node) {
	for _, n := range nodes {
		if n.Kind == scan.KindContainer { // its own directory is one's own
			x.user(a, n)
		}
	}
	x.above(nodes, func(r scan.Ref) {
		if r.Why == scan.ByDiffIDs && slices.Contains(nodes, r.To) {
			a.Images = append(a.Images, x.layer(r.From, r.To))
		}
		x.user(a, r.From)
	})
	a.sort()
}

// above calls yield for everything that needs any of these, at whatever
// distance, once: with the reference by which it was met.
func (x *Index) above(nodes []scan.Node, yield func(scan.Ref)) {
	seen := map[scan.Node]bool{}
	for _, n := range nodes {
		seen[n] = true
	}
	for queue := slices.Clone(nodes); len(queue) > 0; queue = queue[1:] {
		for r := range x.edges.To(queue[0]) {
			if !seen[r.From] {
				seen[r.From] = true
				queue = append(queue, r.From)
				yield(r)
			}
		}
	}
}

func (a *Answer) sort() {
	slices.SortFunc(a.Images, func(a, b Layer) int {
		return cmp.Or(tagged(a.Image)-tagged(b.Image), a.Of-b.Of, strings.Compare(a.Image, b.Image))
	})
	slices.Sort(a.Containers)
	slices.Sort(a.Others)
}

// tagged sorts images with a tag before those that have only an id.
func tagged(image string) int {
	if strings.Contains(image, ":") {
		return 0
	}
	return 1
}

// user adds one that needs it.
func (x *Index) user(a *Answer, n scan.Node) {
	switch n.Kind {
	case scan.KindContainer:
		a.Containers = append(a.Containers, x.g.TitleOf(n))
	case scan.KindBuild:
		a.Others = append(a.Others, "build record "+x.g.TitleOf(n))
	case scan.KindImage: // those since 1.10 are told by their layers
		if scan.IsID(n.Name) {
			a.Others = append(a.Others, "image "+x.g.TitleOf(n))
		}
	case scan.KindVolume:
		a.Others = append(a.Others, "volume "+x.g.TitleOf(n))
	case scan.KindMemory:
		a.Others = append(a.Others, x.g.TitleOf(n))
	}
}

// layer says which layer of an image a chain is. An image refers to its
// chains in their order, once by each source that knows it.
func (x *Index) layer(image, chain scan.Node) Layer {
	l := Layer{Image: x.g.TitleOf(image)}
	seen := map[scan.Node]bool{}
	for r := range x.edges.From(image) {
		if r.Why != scan.ByDiffIDs || seen[r.To] {
			continue
		}
		seen[r.To] = true
		l.Of++
		if r.To == chain {
			l.Number = l.Of
		}
	}
	if steps := x.steps(image, chain); len(steps) == l.Of && l.Number > 0 {
		l.CreatedBy = steps[l.Number-1]
	}
	return l
}

// maxConfig bounds an image's config.
const maxConfig = 64 << 20

// steps reads what made an image's layers, the base first, from its config's
// history (image/<driver>/imagedb/content/sha256/<image>). It is a help for
// people: what cannot be read is not told.
func (x *Index) steps(image, chain scan.Node) []string {
	if steps, ok := x.images[image]; ok {
		return steps
	}
	var config struct {
		History []struct {
			CreatedBy  string `json:"created_by"`
			EmptyLayer bool   `json:"empty_layer"`
		} `json:"history"`
	}
	var steps []string
	driver, _, _ := strings.Cut(strings.TrimPrefix(chain.Name, "image/"), "/")
	data, err := x.in.Tree.ReadFile("image/"+driver+"/imagedb/content/sha256/"+strings.TrimPrefix(image.Name, "sha256:"), maxConfig)
	if err == nil && json.Unmarshal(data, &config) == nil {
		for _, h := range config.History {
			if !h.EmptyLayer {
				steps = append(steps, step(h.CreatedBy))
			}
		}
	}
	x.images[image] = steps
	return steps
}

// step is what made a layer as a Dockerfile says it.
func step(createdBy string) string {
	text, nop := strings.CutPrefix(createdBy, "/bin/sh -c #(nop) ")
	if !nop {
		var ok bool
		if text, ok = strings.CutPrefix(text, "/bin/sh -c "); ok { // the classic builder's
			text = "RUN " + text
		}
		text = strings.Replace(text, "RUN /bin/sh -c ", "RUN ", 1) // BuildKit's
	}
	return strings.TrimSpace(strings.TrimSuffix(text, "# buildkit"))
}
