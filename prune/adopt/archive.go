package adopt

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// The labels of an image that adopts a chain. Together with the chain they
// make the image's id, by which [Leftovers] tells it from any other.
const (
	Label      = "docker-orphans.adopted" // a nonce
	labelLayer = "docker-orphans.layer"   // the driver's name for the topmost layer
)

// config is an image config with what the daemon asks of one. It has no
// history: that may not tell of more layers than there are.
func config(p Platform, diffs []string, labels map[string]string) []byte {
	type rootFS struct {
		Type  string   `json:"type"`
		Diffs []string `json:"diff_ids"`
	}
	type settings struct {
		Labels map[string]string `json:"Labels"`
	}
	data, err := json.Marshal(struct {
		Architecture string   `json:"architecture"`
		OS           string   `json:"os"`
		Config       settings `json:"config"`
		RootFS       rootFS   `json:"rootfs"`
	}{p.Architecture, p.OS, settings{labels}, rootFS{"layers", diffs}})
	if err != nil {
		panic(err) // strings always have a form
	}
	return data
}

// imageID is the id of the image with a config.
func imageID(config []byte) string { return digest.FromBytes(config).String() }

// Absent is the name under which an archive names the layer that it does not
// contain because the daemon has it: the n-th, from 0.
func Absent(n int) string { return fmt.Sprintf("absent/%d.tar", n) }

// archive packs an image all of whose layers the daemon has.
func archive(config []byte, layers int) []byte {
	names := make([]string, layers)
	for i := range names {
		names[i] = Absent(i)
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range []struct {
		name string
		data []byte
	}{
		{ConfigName(config), config},
		{"manifest.json", Manifest(config, "", names)},
	} {
		err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data))})
		if err == nil {
			_, err = w.Write(f.data)
		}
		if err != nil {
			panic(err) // memory takes what it is given
		}
	}
	if err := w.Close(); err != nil {
		panic(err) // as above
	}
	return buf.Bytes()
}

// ConfigName is the name of an image's config in an archive.
func ConfigName(config []byte) string { return digest.FromBytes(config).Encoded() + ".json" }

// Manifest is the manifest of an archive with one image. The tag may be "".
func Manifest(config []byte, tag string, layers []string) []byte {
	var tags []string
	if tag != "" {
		tags = []string{tag}
	}
	data, err := json.Marshal([]any{map[string]any{"Config": ConfigName(config), "RepoTags": tags, "Layers": layers}})
	if err != nil {
		panic(err) // strings always have a form
	}
	return data
}
