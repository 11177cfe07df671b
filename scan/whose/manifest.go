package whose

import (
	"encoding/json"
	"path"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan/containerd"
)

// maxManifest bounds an index, a manifest and a config.
const maxManifest = 64 << 20

// A manifest is what is read of a manifest, an index or a config (OCI image
// format): each has only some of the fields.
type manifest struct {
	Config    descriptor   `json:"config"`
	Layers    []descriptor `json:"layers"`
	Manifests []descriptor `json:"manifests"`
	History   []event      `json:"history"`
}

type descriptor struct {
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
}

type event struct {
	CreatedBy  string `json:"created_by"`
	EmptyLayer bool   `json:"empty_layer"`
}

// manifest reads a blob, once. It is a help for people: what cannot be read says
// nothing.
func (s *stored) manifest(digest string) *manifest {
	if m := s.manifests[digest]; m != nil {
		return m
	}
	m := &manifest{}
	algorithm, sum, _ := strings.Cut(digest, ":")
	data, err := s.Tree.ReadFile(path.Join("io.containerd.content.v1.content/blobs", algorithm, sum), maxManifest)
	if err != nil || json.Unmarshal(data, m) != nil {
		m = &manifest{} // a config has another "config"
		var config struct {
			History []event `json:"history"`
		}
		if err == nil && json.Unmarshal(data, &config) == nil {
			m.History = config.History
		}
	}
	s.manifests[digest] = m
	return m
}

// blob says what a piece of content is: by what the manifests say that keep it.
func (x *Index) blob(a *Answer, keys []containerd.Key) {
	a.Record = "content"
	for _, key := range keys {
		for _, image := range x.stored.Links.Users(key) {
			if image.Sort != containerd.SortImage {
				continue
			}
			for _, k := range x.stored.Links.Needs(image) {
				if k.Sort == containerd.SortBlob {
					x.role(a, key.Name, k.Name, title(image))
				}
			}
		}
	}
}

// role says what a blob is to the manifest that another one is.
func (x *Index) role(a *Answer, digest, other, image string) {
	if !x.listed(other) {
		return
	}
	m := x.stored.manifest(other)
	switch {
	case digest == other && len(m.Manifests) > 0:
		a.Record = "index"
	case digest == other && len(m.Layers) > 0:
		a.Record = "manifest"
	case m.Config.Digest == digest:
		a.Record = "config"
	}
	for i, l := range m.Layers {
		switch {
		case l.Digest != digest:
		case strings.Contains(l.MediaType, "in-toto"): // BuildKit's, of how the image was made
			a.Record = "attestation"
		default:
			a.Record = packedRecord
			a.layer(Layer{Image: image, Number: i + 1, Of: len(m.Layers), CreatedBy: x.createdBy(m.Config.Digest, i+1, len(m.Layers))})
		}
	}
}

// listed reports whether a blob may be a manifest or an index: those keep other
// content.
func (x *Index) listed(digest string) bool {
	for _, k := range x.stored.Links.Blob(digest) {
		for _, n := range x.stored.Links.To(k) {
			if n.Sort == containerd.SortBlob {
				return true
			}
		}
	}
	return false
}

// createdBy is the step that made a layer, as the image's config has it.
func (x *Index) createdBy(config string, number, of int) string {
	var steps []string
	for _, e := range x.stored.manifest(config).History {
		if !e.EmptyLayer {
			steps = append(steps, step(e.CreatedBy))
		}
	}
	if len(steps) != of {
		return ""
	}
	return steps[number-1]
}
