package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Registries finds what the daemon remembers of registries' layers that it has
// no more (moby distribution/metadata/v2_metadata_service.go). It never forgets
// any, and asks for it at each pull and push:
//
//	image/<driver>/distribution/v2metadata-by-diffid/sha256/<diff id>   where the layer can be had
//	image/<driver>/distribution/diffid-by-digest/sha256/<blob>          which layer a blob is
//
// All of a driver's are one thing. They break nothing and take little; what
// tells where a layer that is there came from stays, see [Origins].
var Registries = &scan.Source{
	ID:  scan.SourceRegistries,
	Doc: "image/<driver>/distribution: what is remembered of registries' layers",
	Collect: func(ctx context.Context, in *scan.Input, g *scan.Graph) (string, error) {
		var notes []string
		for _, b := range in.Backends {
			r := &registries{in: in, g: g, b: b, dir: "image/" + b.Name + "/distribution/"}
			note, err := r.collect(ctx)
			if err != nil {
				return "", err
			}
			notes = append(notes, note)
		}
		return strings.Join(notes, "; "), nil
	},
}

// registries is the reading of what one driver's image store remembers.
type registries struct {
	in  *scan.Input
	g   *scan.Graph
	b   *scan.Backend
	dir string

	head scan.Node // the first that is found
}

func (r *registries) collect(ctx context.Context) (string, error) {
	dir := r.dir + "v2metadata-by-diffid/sha256"
	entries, err := r.in.Tree.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return r.b.Name + ": nothing", nil
	}
	if err != nil {
		return "", err
	}
	if err := r.aside(); err != nil {
		return "", err
	}
	diffs := slices.Sorted(slices.Values(r.in.Diffs))
	absent := 0
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		key, ok := diffKey(e.Name)
		if !ok || !e.Type.IsRegular() {
			continue // no layer has such an id
		}
		if _, there := slices.BinarySearch(diffs, key); there {
			continue
		}
		if err := r.absent(path.Join(dir, e.Name), e.Name); err != nil {
			return "", err
		}
		absent++
	}
	r.describe(absent)
	return fmt.Sprintf("%s: %d layers, %d of them absent", r.b.Name, len(entries), absent), nil
}

// aside notes the contents of registered layers that lie in quarantine: they
// can come back.
func (r *registries) aside() error {
	for i := range r.g.Objects {
		o := &r.g.Objects[i]
		if o.Kind != scan.KindChain || !aside(o) {
			continue
		}
		diff, err := r.in.Word(o.Path()+"/diff", maxWord)
		if err != nil {
			return err
		}
		noteDiff(r.in, diff)
	}
	return nil
}

// absent adds what is remembered of a layer that is not there.
func (r *registries) absent(name, diff string) error {
	data, err := r.in.Tree.ReadFile(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.add(name); err != nil {
		return err
	}
	var sources []struct{ Digest string }
	if json.Unmarshal(data, &sources) != nil {
		return nil // then which blobs it was is not known, and what is known of those stays
	}
	for _, s := range sources {
		hex, ok := strings.CutPrefix(s.Digest, "sha256:")
		blob := r.dir + "diffid-by-digest/sha256/" + hex
		if !ok || !scan.IsID(hex) {
			continue
		}
		if is, err := r.in.Word(blob, maxWord); err == nil && is == "sha256:"+diff {
			if err := r.add(blob); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *registries) add(name string) error {
	info, err := r.in.Tree.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	o := scan.Object{Node: scan.Node{Kind: scan.KindRecord, Name: name}, Backend: r.b.Name, Medium: info.Medium(), Stamp: info.Stamp}
	r.g.Add(o)
	if r.head.Name == "" {
		r.head = o.Node
	} else {
		r.g.Refer(r.head, o.Node, scan.ByName)
	}
	return nil
}

// describe says what was found, and doubts it if there may be layers that are
// not known.
func (r *registries) describe(absent int) {
	if r.head.Name == "" {
		return
	}
	text := fmt.Sprintf("%d layers that registries have are not there any more", absent)
	if absent == 1 {
		text = "1 layer that a registry has is not there any more"
	}
	note := r.g.Object(r.head).Annotate()
	note.Missing, note.Was = text, "what is remembered of registries"
	if !r.in.AllDiffs {
		r.g.Doubt(scan.Doubt{
			Source: scan.SourceRegistries, Where: r.dir, Err: "which layers there are is not known",
			Scope: scan.Scope{Nodes: []scan.Node{r.head}},
		})
	}
}

// noteDiff notes the content of a layer; "" for none.
func noteDiff(in *scan.Input, diff string) {
	if key, ok := diffKey(strings.TrimPrefix(diff, "sha256:")); ok {
		in.Diffs = append(in.Diffs, key)
	}
}

// diffKey is the first 64 bits of an id. Two that have the same are taken for
// one: what is remembered of one is kept for the other.
func diffKey(hex string) (uint64, bool) {
	if !scan.IsID(hex) {
		return 0, false
	}
	key, err := strconv.ParseUint(hex[:16], 16, 64)
	return key, err == nil
}
