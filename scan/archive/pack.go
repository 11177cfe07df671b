package archive

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Layer is what an image is made of. Its archive is as large, and has the
// digest, that it says, or writing it is an error.
type Layer interface {
	Diff() string // "sha256:<hex>"
	Size() int64  // bytes
	Write(ctx context.Context, to io.Writer) error
}

// An Image is one to be written.
type Image struct {
	Config []byte
	Tags   []string // as the docker CLI shows them: "name:tag"
	Layers []Layer  // the base first
}

// ID is the image's: "sha256:<hex>".
func (i *Image) ID() string { return digest.FromBytes(i.Config).String() }

// Pack writes images as an archive that `docker load` takes, of every version
// since 1.10, and that is an OCI image layout as well, as `docker save` does
// since 25. What images have in common is in it once. The lists come first, so
// an archive that an error broke off is refused: it lacks what they name, or has
// a layer with another digest.
func Pack(ctx context.Context, to io.Writer, images []*Image) error {
	p := &packer{ctx: ctx, out: tar.NewWriter(to), has: map[string]bool{}}
	lists, err := p.lists(images)
	if err != nil {
		return err
	}
	for _, f := range lists {
		if err := p.file(f.name, f.data); err != nil {
			return err
		}
	}
	for _, i := range images {
		for _, l := range i.Layers {
			if err := p.layer(l); err != nil {
				return err
			}
		}
	}
	return p.out.Close()
}

// A packer is one writing of an archive.
type packer struct {
	ctx context.Context //nolint:containedctx // a packer is one call of Pack
	out *tar.Writer
	has map[string]bool // names that were written
}

type file struct {
	name string
	data []byte
}

// manifestItem is an image in manifest.json (moby image/tarexport).
type manifestItem struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// lists are all files but the layers.
func (p *packer) lists(images []*Image) ([]file, error) {
	layout := file{ocispec.ImageLayoutFile, encode(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	var items []manifestItem
	var blobs []file
	for _, i := range images {
		manifest := ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
			Config: describe(ocispec.MediaTypeImageConfig, i.Config), Layers: []ocispec.Descriptor{},
		}
		item := manifestItem{Config: blob(i.ID()), RepoTags: i.Tags, Layers: []string{}}
		for _, l := range i.Layers {
			d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.Digest(l.Diff()), Size: l.Size()}
			manifest.Layers = append(manifest.Layers, d)
			item.Layers = append(item.Layers, blob(l.Diff()))
		}
		items = append(items, item)
		data := encode(manifest)
		d := describe(ocispec.MediaTypeImageManifest, data)
		blobs = append(blobs, file{blob(d.Digest.String()), data}, file{blob(i.ID()), i.Config})
		named, err := names(d, i.Tags)
		if err != nil {
			return nil, err
		}
		index.Manifests = append(index.Manifests, named...)
	}
	return append([]file{layout, {ocispec.ImageIndexFile, encode(index)}, {"manifest.json", encode(items)}}, blobs...), nil
}

// names returns a manifest's descriptor once for each name that it has.
func names(d ocispec.Descriptor, tags []string) ([]ocispec.Descriptor, error) {
	if len(tags) == 0 {
		return []ocispec.Descriptor{d}, nil
	}
	var named []ocispec.Descriptor
	for _, tag := range tags {
		ref, err := reference.ParseNormalizedNamed(tag)
		if err != nil {
			return nil, fmt.Errorf("tag %q: %w", tag, err)
		}
		d.Annotations = map[string]string{"io.containerd.image.name": ref.String()}
		if t, ok := ref.(reference.Tagged); ok {
			d.Annotations[ocispec.AnnotationRefName] = t.Tag()
		}
		named = append(named, d)
	}
	return named, nil
}

func describe(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

// blob is the name of what has a digest.
func blob(id string) string { return "blobs/sha256/" + strings.TrimPrefix(id, "sha256:") }

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers always have a form
	}
	return data
}

func (p *packer) file(name string, data []byte) error {
	if begun, err := p.begin(name, int64(len(data))); err != nil || !begun {
		return err
	}
	_, err := p.out.Write(data)
	return err
}

func (p *packer) layer(l Layer) error {
	if begun, err := p.begin(blob(l.Diff()), l.Size()); err != nil || !begun {
		return err
	}
	return l.Write(p.ctx, p.out)
}

// begin writes a file's header, unless there is a file of its name already.
func (p *packer) begin(name string, size int64) (bool, error) {
	if p.has[name] {
		return false, nil
	}
	p.has[name] = true
	return true, p.out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size})
}
