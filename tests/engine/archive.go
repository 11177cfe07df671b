//go:build linux

package engine

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
)

// A File is one entry of a layer or of a build context: a symbolic link if
// Link is set, a directory if the name ends in a slash, else a regular file.
type File struct {
	Name string
	Data string
	Link string
}

func (f File) header() *tar.Header {
	h := &tar.Header{Name: f.Name, Mode: 0o755, Size: int64(len(f.Data)), Typeflag: tar.TypeReg}
	switch {
	case f.Link != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.Link
	case strings.HasSuffix(f.Name, "/"):
		h.Typeflag = tar.TypeDir
	}
	return h
}

// Tar packs files. It carries no times: the same files are always the same
// layer.
func Tar(files ...File) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		must(w.WriteHeader(f.header()))
		_, err := w.Write([]byte(f.Data))
		must(err)
	}
	must(w.Close())
	return buf.Bytes()
}

// Archive packs layers as one image the way docker save does. Without a tag
// it becomes a dangling image.
func Archive(tag string, layers ...[]byte) []byte {
	var names, diffs, tags []string
	var files []File
	for i, l := range layers {
		names = append(names, fmt.Sprintf("%d/layer.tar", i))
		diffs = append(diffs, DiffID(l))
		files = append(files, File{Name: names[i], Data: string(l)})
	}
	config := encode(map[string]any{
		"architecture": "amd64", "os": "linux",
		"config": map[string]any{"Cmd": []string{"sh"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	})
	if tag != "" {
		tags = []string{tag}
	}
	manifest := encode([]any{map[string]any{"Config": "config.json", "RepoTags": tags, "Layers": names}})
	files = append(files, File{Name: "config.json", Data: config}, File{Name: "manifest.json", Data: manifest})
	return Tar(files...)
}

// DiffID is a layer's name in an image's config.
func DiffID(layer []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(layer)) }

// ChainID is the name that the image store gives to a stack of layers, the
// base first: that of the base is its diff id, that of any other the digest
// of its parent's and its own.
func ChainID(diffs ...string) string {
	chain := diffs[0]
	for _, d := range diffs[1:] {
		chain = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(chain+" "+d)))
	}
	return chain
}

func encode(v any) string {
	data, err := json.Marshal(v)
	must(err)
	return string(data)
}

// must is for what cannot fail: packing in memory.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
