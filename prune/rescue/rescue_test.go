//go:build linux

package rescue

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker-orphans/docker-orphans/prune/adopt"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/archive"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
	"github.com/opencontainers/go-digest"
	"gotest.tools/v3/assert"
)

// A keeper is a daemon that keeps what it is given.
type keeper struct {
	images map[string]adopt.Image // by name
	files  map[string][]byte      // of the archive
	config map[string]any
	fail   error
	during func() // while the archive is read
}

func (k *keeper) Platform(context.Context) (adopt.Platform, error) {
	return adopt.Platform{OS: "linux", Architecture: "riscv64"}, nil
}

func (k *keeper) Image(_ context.Context, name string) (adopt.Image, error) {
	if i, ok := k.images[name]; ok {
		return i, nil
	}
	return adopt.Image{}, fmt.Errorf("no such image: %w", errdefs.ErrNotFound)
}

func (k *keeper) Labelled(context.Context, string) ([]string, error) { panic("not asked") }
func (k *keeper) Remove(context.Context, string) ([]string, error)   { panic("never removes") }

func (k *keeper) Load(_ context.Context, archive io.Reader) error {
	if k.fail != nil {
		return k.fail
	}
	k.files = map[string][]byte{}
	for in := tar.NewReader(archive); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if k.during != nil {
			k.during()
		}
		if k.files[h.Name], err = io.ReadAll(in); err != nil {
			return err
		}
	}
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(k.files["manifest.json"], &manifest); err != nil {
		return err
	}
	config := k.files[manifest[0].Config]
	k.images[manifest[0].RepoTags[0]] = adopt.Image{ID: digest.FromBytes(config).String()}
	return json.Unmarshal(config, &k.config)
}

// drawn is a drawn data root with a daemon, and the finding of a type in it.
func drawn(t *testing.T, driver, script string, is scan.Type) (Request, *keeper, *testkit.Case) {
	t.Helper()
	c, err := testkit.Run(t.TempDir(), driver, script)
	assert.NilError(t, err)
	c.Host.Info.Driver = driver
	g, findings := testkit.Judge(t, c)
	k := &keeper{images: map[string]adopt.Image{}}
	// The topmost of several is that which nothing lies on.
	found := -1
	for i, f := range findings {
		if f.Type == is && f.Verdict == scan.Orphan && strings.Contains(c.Symbols(f.ID), " lost") {
			found = i
		}
	}
	assert.Assert(t, found >= 0, "%v", findings)
	return Request{Daemon: k, Tree: testkit.Input(t, c).Tree, Host: &g.Host, Finding: &findings[found]}, k, c
}

const lostImage = `
image live: base
container web live
image lost: base a
rm image/DRIVER/imagedb/content/sha256/{image lost}
write image/DRIVER/repositories.json "{}"
online started=1h
forget {image lost}
`

func TestRescueChain(t *testing.T) {
	r, k, _ := drawn(t, "overlay2", lostImage, scan.TypeImageLayer)
	rescued, err := Rescue(t.Context(), r)
	assert.NilError(t, err)
	assert.Equal(t, rescued.Tag, "orphans/rescued:"+filepath.Base(r.Finding.Parts[0].Name)[:12])
	assert.Equal(t, rescued.Image, k.images[rescued.Tag].ID)
	assert.Equal(t, len(k.files), 2, "no layer is sent")
	assert.Assert(t, bytes.Contains(k.files["manifest.json"], []byte(`"Layers":["absent/0.tar","absent/1.tar"]`)))
	assert.DeepEqual(t, k.config["rootfs"], map[string]any{
		"type": "layers", "diff_ids": []any{"sha256:" + testkit.ID("diff base"), "sha256:" + testkit.ID("diff a")},
	})
	assert.Equal(t, k.config["architecture"], "riscv64")
	assert.Assert(t, k.config["history"] == nil)

	// A name is never moved; a daemon that does not say is no permission.
	_, err = Rescue(t.Context(), r)
	assert.ErrorIs(t, err, ErrTaken)
	r.Tag = "other"
	k.images["other:latest"] = adopt.Image{}
	_, err = Rescue(t.Context(), r)
	assert.ErrorIs(t, err, ErrTaken)
	for tag, says := range map[string]string{"UPPER": "lowercase", "a@sha256:" + strings.Repeat("a", 64): "digest"} {
		r.Tag = tag
		_, err := Rescue(t.Context(), r)
		assert.ErrorContains(t, err, says)
	}
}

// A load that fails makes the daemon delete what it found and nobody holds: so
// nothing is loaded that the daemon may not know.
func TestRescueUnknown(t *testing.T) {
	for _, test := range []struct {
		name, says string
		more       func(r *Request)
	}{
		{"no start is known", "restart the daemon", func(r *Request) { r.Host.Owner = nil }},
		{"the daemon is older than a record", "restart the daemon", func(r *Request) {
			r.Host.TmpMade = r.Host.TmpMade.AddDate(-1, 0, 0)
		}},
		{"another driver", "the daemon uses vfs", func(r *Request) { r.Host.Info.Driver = "vfs" }},
		{"not an image's", "nothing that an image", func(r *Request) { r.Finding.Type = scan.TypeLink }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, k, _ := drawn(t, "overlay2", lostImage, scan.TypeImageLayer)
			test.more(&r)
			_, err := Rescue(t.Context(), r)
			assert.ErrorContains(t, err, test.says)
			assert.Assert(t, k.files == nil)
		})
	}
	for _, damage := range []string{`size ""`, `size "12x"`, `size "5\n"`, `descriptor.json "{"`} {
		script := strings.Replace(lostImage, "online", "write image/DRIVER/layerdb/sha256/{chain live 1}/"+damage+"\nonline", 1)
		r, k, _ := drawn(t, "overlay2", script, scan.TypeImageLayer)
		_, err := Rescue(t.Context(), r)
		assert.ErrorContains(t, err, "the daemon did not load it", damage)
		assert.Assert(t, k.files == nil, damage)
	}
	r, k, _ := drawn(t, "overlay2", lostImage, scan.TypeImageLayer)
	k.fail = errors.New("no space left on device")
	_, err := Rescue(t.Context(), r)
	assert.ErrorContains(t, err, "no space left")
}

const lostContainer = `
image live: base
container lost live
container web live
rm containers/{container lost}
write LAYERS/{layer lost-rw}/DIFFwrote "by the container"
online started=1h
forget {container lost}
now 48h
`

func TestRescueWritten(t *testing.T) {
	for driver, diff := range map[string]string{"overlay2": "diff/", "vfs": "", "aufs": ""} {
		t.Run(driver, func(t *testing.T) {
			r, k, c := drawn(t, driver, strings.ReplaceAll(lostContainer, "DIFF", diff), scan.TypeRWLayer)
			// Of the images with the same layers it is the one with a name.
			layers := fmt.Sprintf(`"rootfs":{"diff_ids":["sha256:%s"]}`, testkit.ID("diff base"))
			config := `{"os":"linux","architecture":"arm","config":{"Cmd":["serve"]},` + layers + `}`
			forged := strings.Repeat("0", 64)
			tags := fmt.Sprintf(`{"Repositories":{"a":{"a:1":"%s","a:2":"sha256:%s"}}}`, digest.FromString(config), forged)
			assert.NilError(t, os.WriteFile(filepath.Join(c.Dir, "image", driver, "repositories.json"), []byte(tags), 0o600))
			images := filepath.Join(c.Dir, "image", driver, "imagedb/content/sha256")
			assert.NilError(t, os.WriteFile(filepath.Join(images, forged), []byte(strings.ReplaceAll(config, "arm", "evil")), 0o600))
			for i := range 8 { // by its id, each may come before it
				step := fmt.Sprintf(`{"architecture":"step%d",%s}`, i, layers)
				assert.NilError(t, os.WriteFile(filepath.Join(images, digest.FromString(step).Encoded()), []byte(step), 0o600))
			}
			assert.NilError(t, os.WriteFile(filepath.Join(images, digest.FromString(config).Encoded()), []byte(config), 0o600))

			rescued, err := Rescue(t.Context(), r)
			assert.NilError(t, err)
			assert.Equal(t, len(rescued.LeftOut), 0)
			written := k.files[contentName]
			assert.Assert(t, bytes.Contains(written, []byte("by the container")))
			diffs := []any{digest.FromBytes(written).String()}
			if driver != "vfs" {
				diffs = append([]any{"sha256:" + testkit.ID("diff base")}, diffs...)
			}
			assert.DeepEqual(t, k.config["rootfs"], map[string]any{"type": "layers", "diff_ids": diffs})
			assert.Equal(t, k.config["architecture"], "arm")
			assert.DeepEqual(t, k.config["config"], map[string]any{"Cmd": []any{"serve"}})
		})
	}
}

// What changes between the two readings never becomes an image.
func TestRescueWhileWritten(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"other content": func(p string) error { return os.WriteFile(p, []byte("BY THE CONTAINER"), 0o600) },
		"longer":        func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("x"), 5000), 0o600) },
		"gone":          func(p string) error { return errors.Join(os.Remove(p), os.WriteFile(p+"2", nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			r, k, c := drawn(t, "overlay2", strings.ReplaceAll(lostContainer, "DIFF", "diff/"), scan.TypeRWLayer)
			layer, err := c.Expand("overlay2/{layer lost-rw}/diff/wrote")
			assert.NilError(t, err)
			changed := false
			k.during = func() {
				if !changed {
					assert.NilError(t, change(filepath.Join(c.Dir, layer)))
				}
				changed = true
			}
			_, err = Rescue(t.Context(), r)
			assert.Assert(t, err != nil)
			assert.Equal(t, len(k.images), 0)
		})
	}
}

// The record that names the layer must be the one that was found.
func TestRescueOtherLayer(t *testing.T) {
	r, k, c := drawn(t, "overlay2", strings.ReplaceAll(lostContainer, "DIFF", "diff/"), scan.TypeRWLayer)
	other, err := c.Expand("{layer web-rw}")
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(filepath.Join(c.Dir, r.Finding.Parts[0].Name, "mount-id"), []byte(other), 0o600))
	_, err = Rescue(t.Context(), r)
	assert.ErrorContains(t, err, "is not the one that was found")
	assert.Assert(t, k.files == nil)
}

func TestDefaultTag(t *testing.T) {
	for id, want := range map[string]string{
		strings.Repeat("ab", 32):                    "abababababab",
		"k2jvv3l7d0d9fd3pd0d9fd3pd":                 "k2jvv3l7d0d9",
		strings.Repeat("c", 64) + "-reg.io/A/foo:1": "cccccccccccc",
	} {
		tag := DefaultTag(&scan.Finding{ID: id})
		assert.Equal(t, tag, "orphans/rescued:"+want)
		_, err := archive.ReadTag(tag)
		assert.NilError(t, err)
	}
}
