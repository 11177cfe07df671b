package archive

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/docker-orphans/docker-orphans/scan"
)

// maxConfig bounds an image's config, and the file of names.
const maxConfig = 16 << 20

// A Base is what an image takes over from one whose layers it has. The zero
// value is that of no image.
type Base struct {
	Architecture string          `json:"architecture"`
	Variant      string          `json:"variant,omitempty"`
	OS           string          `json:"os"`
	Config       json.RawMessage `json:"config"`
	RootFS       struct {
		Diffs []string `json:"diff_ids"`
	} `json:"rootfs"`

	tagged bool
}

// FindBase returns the image of a driver that has the most layers of those with
// these diff ids, the base first. Of several with the same layers it is one
// that has a name, for the classic builder leaves an image for each of its
// steps, and of those the first by id. A setting that cannot be known is not
// missed: what cannot be read is left out.
func FindBase(tree scan.Tree, driver string, diffs []string) Base {
	dir := "image/" + driver + "/imagedb/content/sha256"
	entries, err := tree.ReadDir(dir)
	if err != nil {
		return Base{}
	}
	tagged := tagged(tree, driver)
	var best Base
	for _, e := range entries {
		data, err := tree.ReadFile(path.Join(dir, e.Name), maxConfig)
		var b Base
		if err != nil || digest.FromBytes(data).Encoded() != e.Name || json.Unmarshal(data, &b) != nil {
			continue // damaged, or a file of no image's
		}
		n, most := len(b.RootFS.Diffs), len(best.RootFS.Diffs)
		if n == 0 || n > len(diffs) || !slices.Equal(b.RootFS.Diffs, diffs[:n]) {
			continue
		}
		b.tagged = tagged["sha256:"+e.Name]
		if n > most || n == most && b.tagged && !best.tagged {
			best = b
		}
	}
	return best
}

// tagged are the ids of the images that have names, as far as they can be read.
func tagged(tree scan.Tree, driver string) map[string]bool {
	var tags struct{ Repositories map[string]map[string]string }
	data, err := tree.ReadFile("image/"+driver+"/repositories.json", maxConfig)
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

// TagOf is the name of an image that is made of something that has this id: the
// repository with 12 characters of the id.
func TagOf(repository, id string) string {
	id = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.TrimPrefix(id, "sha256:"))
	return repository + ":" + id[:min(12, len(id))]
}

// ReadTag returns the name of an image as the docker CLI shows it, and the
// daemon lists it.
func ReadTag(tag string) (string, error) {
	named, err := reference.ParseNormalizedNamed(tag)
	if err != nil {
		return "", fmt.Errorf("tag %q: %w", tag, err)
	}
	if _, ok := named.(reference.Digested); ok {
		return "", fmt.Errorf("tag %q: has a digest", tag)
	}
	return reference.FamiliarString(reference.TagNameOnly(named)), nil
}

// A Platform is what an image runs on.
type Platform struct {
	OS           string // "linux"
	Architecture string // "amd64"
}

// NewConfig is the config of an image with these layers that was never built:
// with the settings of the image that it lies on, and on the platform if that
// names none.
func NewConfig(b Base, p Platform, diffs []string, comment string, now time.Time) ([]byte, error) {
	if b.Config == nil {
		b.Config = json.RawMessage(`{"Cmd":["/bin/sh"]}`)
	}
	if b.Architecture == "" {
		b.Architecture = p.Architecture
	}
	if b.OS == "" {
		b.OS = p.OS
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
		b.Architecture, b.Variant, b.OS, now.UTC(), comment, b.Config, rootFS{"layers", diffs},
	})
}
