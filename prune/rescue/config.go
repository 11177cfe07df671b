package rescue

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/docker-orphans/docker-orphans/prune/adopt"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/layerdb"
	"github.com/opencontainers/go-digest"
)

const (
	maxWord   = 4 << 10 // of a file that holds one id
	maxConfig = 16 << 20
)

// A base is what an image takes over from one whose layers it has.
type base struct {
	Architecture string          `json:"architecture"`
	Variant      string          `json:"variant,omitempty"`
	OS           string          `json:"os"`
	Config       json.RawMessage `json:"config"`
	RootFS       struct {
		Diffs []string `json:"diff_ids"`
	} `json:"rootfs"`

	tagged bool
}

// base is the image on disk that has the most layers of those that the new
// image has below what was written, nil if none has any. Of several with the
// same layers it is one that has a name, for the classic builder leaves an image
// for each of its steps, and of those the first by id. A whole copy hides its
// layers: then it is the image whose layers the record names.
func (r *Request) base(diffs []string, content *content) *base {
	if content != nil && content.form.whole {
		diffs = r.recorded()
	}
	dir := "image/" + r.Finding.Backend + "/imagedb/content/sha256"
	entries, err := r.Tree.ReadDir(dir)
	if err != nil {
		return nil // a setting that cannot be known is not missed
	}
	tagged := r.tagged()
	var best *base
	for _, e := range entries {
		data, err := r.Tree.ReadFile(path.Join(dir, e.Name), maxConfig)
		var b base
		if err != nil || digest.FromBytes(data).Encoded() != e.Name || json.Unmarshal(data, &b) != nil {
			continue // damaged, or a file of no image's
		}
		n := len(b.RootFS.Diffs)
		if n == 0 || n > len(diffs) || !slices.Equal(b.RootFS.Diffs, diffs[:n]) {
			continue
		}
		b.tagged = tagged["sha256:"+e.Name]
		if best == nil || n > len(best.RootFS.Diffs) || n == len(best.RootFS.Diffs) && b.tagged && !best.tagged {
			best = &b
		}
	}
	return best
}

// tagged are the ids of the images that have names, as far as they can be read.
func (r *Request) tagged() map[string]bool {
	var tags struct{ Repositories map[string]map[string]string }
	data, err := r.Tree.ReadFile("image/"+r.Finding.Backend+"/repositories.json", maxConfig)
	if err != nil || json.Unmarshal(data, &tags) != nil {
		return nil // it only decides between images with the same layers
	}
	ids := map[string]bool{}
	for _, repository := range tags.Repositories {
		for _, id := range repository {
			ids[id] = true
		}
	}
	return ids
}

// recorded are the diff ids of what a mount record names as its parent, as far
// as they can be read.
func (r *Request) recorded() []string {
	parent, err := (&scan.Input{Tree: r.Tree}).Word(r.Finding.Parts[0].Name+"/parent", maxWord)
	if err != nil {
		return nil // it only tells of settings
	}
	layers, err := layerdb.Read(r.Tree, r.Finding.Backend, parent)
	if err != nil {
		return nil // as above
	}
	diffs := make([]string, len(layers))
	for i, l := range layers {
		diffs[i] = l.Diff
	}
	return diffs
}

// missing reports whether a file could not be read because it is not there.
func (r *Request) missing(err error, name string) bool {
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = r.Tree.Stat(path.Dir(name))
	return err == nil
}

// newConfig is the config of the image that rescues a finding.
func newConfig(b *base, p adopt.Platform, diffs []string, f *scan.Finding, now time.Time) ([]byte, error) {
	if b == nil {
		b = &base{Config: json.RawMessage(`{"Cmd":["/bin/sh"]}`)}
	}
	if b.Architecture == "" {
		b.Architecture = p.Architecture
	}
	if b.OS == "" {
		b.OS = p.OS
	}
	if len(b.Config) == 0 {
		b.Config = json.RawMessage(`{}`)
	}
	type rootFS struct {
		Type  string   `json:"type"`
		Diffs []string `json:"diff_ids"`
	}
	return json.Marshal(struct {
		Architecture string          `json:"architecture"`
		Variant      string          `json:"variant,omitempty"`
		OS           string          `json:"os"`
		Created      time.Time       `json:"created"`
		Comment      string          `json:"comment"`
		Config       json.RawMessage `json:"config"`
		RootFS       rootFS          `json:"rootfs"`
	}{
		b.Architecture, b.Variant, b.OS, now.UTC(),
		"rescued by docker orphans: " + string(f.Type) + " " + scan.Printable(f.ID),
		b.Config,
		rootFS{"layers", diffs},
	})
}
