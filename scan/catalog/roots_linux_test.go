package catalog_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/archive"
	"github.com/docker-orphans/docker-orphans/scan/catalog"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// Every image, chain and container of the real roots is exported, where its
// driver keeps layers as files: what comes out has the digests that the daemon
// knew, and is an archive as `docker load` and OCI want it.
func TestRealRoots(t *testing.T) {
	for _, name := range append([]string{"vfs-1.10.3-migrated", "overlay-1.10.3-migrated"}, testkit.RealRoots...) {
		t.Run(name, func(t *testing.T) {
			c, want := testkit.Unpack(t, "../../tests/testdata/roots", name)
			tree := testkit.Input(t, c).Tree
			all, err := catalog.Read(tree, "")
			assert.NilError(t, err)
			o := catalog.Opener{Root: archive.Root{Tree: tree, Dir: c.Dir}, Platform: archive.Platform{OS: "linux", Architecture: "s390x"}}
			images, chains, containers := 0, 0, 0
			export := func(text string) bool {
				things, err := all.Find(text)
				assert.NilError(t, err)
				assert.Equal(t, len(things), 1, text)
				opened, err := o.Open(t.Context(), things[0])
				if want.Driver == "zfs" || want.Driver == "devicemapper" {
					assert.Assert(t, err != nil && !strings.Contains(err.Error(), "no such file"), "%v", err)
					return true
				}
				if things[0].Kind == catalog.Image && err != nil {
					assert.ErrorContains(t, err, "missing: what is left of the image") // as the truth has it
					return false
				}
				assert.NilError(t, err, text)
				defer opened.Close()
				assert.Equal(t, len(opened.LeftOut), 0, "%v", opened.LeftOut)
				assertArchive(t, &opened.Image)
				return true
			}
			for _, tag := range all.Names() {
				if export(tag) {
					images++
				}
			}
			for id := range want.LayerDB {
				if id = filepath.Base(id)[len("sha256:"):]; !strings.Contains(id, "removing") {
					export("image-layer:" + id)
					chains++
				}
			}
			for id := range want.Mounts {
				export(id)
				containers++
			}
			assert.Assert(t, images >= 4 && chains >= 4 && containers >= 4, "%d images, %d chains, %d containers", images, chains, containers)
		})
	}
}

// assertArchive packs an image and checks what comes out.
func assertArchive(t *testing.T, image *archive.Image) {
	t.Helper()
	var out bytes.Buffer
	assert.NilError(t, archive.Pack(t.Context(), &out, []*archive.Image{image, image}))
	files := map[string][]byte{}
	for in := tar.NewReader(&out); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		assert.NilError(t, err)
		data, err := io.ReadAll(in)
		assert.NilError(t, err)
		_, twice := files[h.Name]
		assert.Assert(t, !twice, h.Name)
		files[h.Name] = data
		if hex, ok := strings.CutPrefix(h.Name, "blobs/sha256/"); ok {
			assert.Equal(t, digest.FromBytes(data).Encoded(), hex)
		}
	}
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	assert.NilError(t, json.Unmarshal(files["manifest.json"], &manifest))
	var config struct {
		OS     string
		RootFS struct {
			Diffs []string `json:"diff_ids"`
		}
	}
	assert.NilError(t, json.Unmarshal(files[manifest[0].Config], &config))
	assert.Equal(t, config.OS, "linux")
	assert.Assert(t, slices.Equal(manifest[0].RepoTags, image.Tags))
	assert.Equal(t, len(manifest[0].Layers), len(config.RootFS.Diffs))
	for i, diff := range config.RootFS.Diffs {
		assert.Equal(t, digest.FromBytes(files[manifest[0].Layers[i]]).String(), diff)
	}
	var index, inner struct {
		Manifests, Layers []struct {
			Digest digest.Digest
			Size   int
		}
	}
	assert.NilError(t, json.Unmarshal(files["index.json"], &index))
	for _, m := range index.Manifests {
		data := files["blobs/sha256/"+m.Digest.Encoded()]
		assert.Equal(t, len(data), m.Size)
		assert.NilError(t, json.Unmarshal(data, &inner))
		assert.Equal(t, len(inner.Layers), len(config.RootFS.Diffs))
		for i, l := range inner.Layers {
			assert.Equal(t, l.Digest.String(), config.RootFS.Diffs[i])
			assert.Equal(t, len(files["blobs/sha256/"+l.Digest.Encoded()]), l.Size)
		}
	}
}

// A data root of before 1.10 has nothing to make archives of.
func TestBefore110(t *testing.T) {
	for _, name := range []string{"vfs-1.9.1", "aufs-1.6.2"} {
		c, _ := testkit.Unpack(t, "../../tests/testdata/roots", name)
		_, err := catalog.Read(testkit.Input(t, c).Tree, "")
		assert.ErrorContains(t, err, "before 1.10")
	}
}

// Whatever file of a data root is hurt, in whatever way: an image is exported
// as it was, or there is an error.
func TestRealRootDamaged(t *testing.T) {
	hurts := map[string]func(name string, data []byte) error{
		"gone":    func(name string, _ []byte) error { return os.Remove(name) },
		"empty":   func(name string, _ []byte) error { return os.WriteFile(name, nil, 0o600) },
		"cut off": func(name string, data []byte) error { return os.WriteFile(name, data[:len(data)/2], 0o600) },
		"other": func(name string, data []byte) error {
			other := bytes.Clone(data)
			if len(other) > 0 {
				other[len(other)/2] ^= 1
			}
			return os.WriteFile(name, other, 0o600)
		},
		"a link": func(name string, data []byte) error {
			return errors.Join(os.WriteFile(name+"~", data, 0o600), os.Remove(name), os.Symlink(filepath.Base(name)+"~", name))
		},
	}
	c, _ := testkit.Unpack(t, "../../tests/testdata/roots", "overlay2")
	tree := testkit.Input(t, c).Tree
	export := func() (*bytes.Buffer, error) {
		var out bytes.Buffer
		all, err := catalog.Read(tree, "overlay2")
		if err != nil {
			return nil, err
		}
		things, err := all.Find("lab/app:1")
		if err != nil {
			return nil, err
		}
		opened, err := (&catalog.Opener{Root: archive.Root{Tree: tree, Dir: c.Dir}}).Open(t.Context(), things[0])
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		return &out, archive.Pack(t.Context(), &out, []*archive.Image{&opened.Image})
	}
	whole, err := export()
	assert.NilError(t, err)
	refused := 0
	for _, dir := range []string{"image/overlay2", "overlay2"} {
		assert.NilError(t, filepath.WalkDir(filepath.Join(c.Dir, dir), func(name string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			info, err := e.Info()
			assert.NilError(t, err)
			data, err := os.ReadFile(name)
			assert.NilError(t, err)
			for how, hurt := range hurts {
				assert.NilError(t, hurt(name, data))
				out, err := export()
				assert.Assert(t, err != nil || bytes.Equal(out.Bytes(), whole.Bytes()), "%s: %s", name, how)
				if err != nil {
					refused++
				}
				assert.NilError(t, errors.Join(os.RemoveAll(name), os.RemoveAll(name+"~"), os.WriteFile(name, data, info.Mode())))
			}
			return nil
		}))
	}
	assert.Assert(t, refused > 50, "%d", refused)
}
