//go:build linux

package adopt

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/layerdb"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
	"gotest.tools/v3/assert"
)

// A model is a daemon that counts references to layers as dockerd does: one
// for each layer on it, for each image, and for what a test adds.
type model struct {
	layers map[string]*modelLayer // by chain id
	images map[string]Image
	calls  []string

	loadErr, imageErr, removeErr error
	before                       func(m *model, call string) // runs before a call
}

type modelLayer struct {
	parent, cacheID string
	refs            int
}

// newModel is a daemon that started on the root as it is, and lists images.
func newModel(t *testing.T, c *testkit.Case, tree scan.Tree) *model {
	t.Helper()
	m := &model{layers: map[string]*modelLayer{}, images: map[string]Image{}}
	entries, err := tree.ReadDir("image/" + c.Driver + "/layerdb/sha256")
	assert.NilError(t, err)
	for _, e := range entries {
		l, parent, err := layerdb.ReadLayer(tree, c.Driver, "sha256:"+e.Name)
		assert.NilError(t, err)
		m.layers[l.Chain] = &modelLayer{parent: parent, cacheID: l.CacheID}
	}
	for _, l := range m.layers {
		if l.parent != "" {
			m.layers[l.parent].refs++
		}
	}
	if c.Daemon == nil {
		return m
	}
	for _, i := range c.Daemon.ImageList {
		chains := layerdb.ChainIDs(i.Layers)
		m.layers[chains[len(chains)-1]].refs++
		m.images[i.ID] = Image{ID: i.ID, Tags: i.Tags, Diffs: i.Layers}
	}
	return m
}

func (m *model) call(name string) {
	m.calls = append(m.calls, name)
	if m.before != nil {
		m.before(m, name)
	}
}

func (m *model) Platform(ctx context.Context) (Platform, error) {
	return Platform{"linux", "amd64"}, ctx.Err()
}

func (m *model) Image(ctx context.Context, name string) (Image, error) {
	m.call("image")
	i, ok := m.images[name]
	switch {
	case m.imageErr != nil:
		return Image{}, m.imageErr
	case !ok:
		return Image{}, fmt.Errorf("no such image %s: %w", name, errdefs.ErrNotFound)
	}
	return i, ctx.Err()
}

func (m *model) Labelled(_ context.Context, label string) ([]string, error) {
	var ids []string
	for id, i := range m.images {
		if _, ok := i.Labels[label]; ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// release gives back a reference, and deletes what none is left to.
func (m *model) release(chain string) (deleted []string) {
	for chain != "" {
		l := m.layers[chain]
		if l.refs--; l.refs > 0 {
			break
		}
		delete(m.layers, chain)
		deleted = append(deleted, chain)
		chain = l.parent
	}
	return deleted
}

func (m *model) Load(ctx context.Context, archive io.Reader) error {
	files := map[string][]byte{}
	for in := tar.NewReader(archive); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if files[h.Name], err = io.ReadAll(in); err != nil {
			return err
		}
	}
	m.call("load")
	if err := errors.Join(ctx.Err(), m.loadErr); err != nil {
		return err
	}
	return m.take(files)
}

// take makes an image of an archive all of whose layers there are.
func (m *model) take(files map[string][]byte) error {
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil {
		return err
	}
	data := files[manifest[0].Config]
	var c struct {
		Architecture, OS string
		Config           struct{ Labels map[string]string }
		History          []any
		RootFS           struct {
			Type  string
			Diffs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	chains := layerdb.ChainIDs(c.RootFS.Diffs)
	if len(manifest[0].Layers) != len(chains) || len(c.History) > 0 || c.RootFS.Type != "layers" {
		return errors.New("invalid manifest, layers length mismatch")
	}
	for i, chain := range chains {
		if m.layers[chain] == nil {
			if i > 0 { // what the load held is released
				m.layers[chains[i-1]].refs++
				m.release(chains[i-1])
			}
			return fmt.Errorf("open /var/lib/docker/tmp/docker-import-1/%s: no such file or directory", manifest[0].Layers[i])
		}
	}
	top := m.layers[chains[len(chains)-1]]
	top.refs++
	id := imageID(data)
	m.images[id] = Image{
		ID: id, Tags: manifest[0].RepoTags, Labels: c.Config.Labels, Platform: Platform{c.OS, c.Architecture}, Diffs: c.RootFS.Diffs,
		Graph: map[string]string{"UpperDir": "/var/lib/docker/overlay2/" + top.cacheID + "/diff"},
	}
	return nil
}

func (m *model) Remove(ctx context.Context, id string) ([]string, error) {
	m.call("remove")
	i, ok := m.images[id]
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case m.removeErr != nil:
		return nil, m.removeErr
	case !ok:
		return nil, fmt.Errorf("no such image %s: %w", id, errdefs.ErrNotFound)
	}
	delete(m.images, id)
	chains := layerdb.ChainIDs(i.Diffs)
	return append([]string{id}, m.release(chains[len(chains)-1])...), nil
}

// A place is a drawn data root, judged, with its daemon.
type place struct {
	*testkit.Case
	tree     scan.Tree
	graph    *scan.Graph
	findings []scan.Finding
	daemon   *model
}

func draw(t *testing.T, script string) *place {
	t.Helper()
	return drawOn(t, "overlay2", script)
}

func drawOn(t *testing.T, driver, script string) *place {
	t.Helper()
	c, err := testkit.Run(t.TempDir(), driver, script)
	assert.NilError(t, err)
	c.Host.Info.Driver = driver
	p := &place{Case: c, tree: testkit.Input(t, c).Tree}
	p.graph, p.findings = testkit.Judge(t, c)
	return p
}

// but are all findings but those whose first path ends in one of the
// names. That only orphans go is not left to the caller.
func (p *place) but(names ...string) []scan.Finding {
	return slices.DeleteFunc(slices.Clone(p.findings), func(f scan.Finding) bool {
		return slices.Contains(names, path.Base(f.Parts[0].Name))
	})
}

// describe prints cascades and what is left with the names of the drawing.
func (p *place) describe(cascades []Cascade, left []Left) string {
	text := ""
	for _, c := range cascades {
		text += "adopt:"
		for _, l := range c.Falls {
			text += fmt.Sprintf(" %s=%s", l.Finding, path.Base(l.Layer.Name))
		}
		text += "\n"
	}
	for _, l := range left {
		text += fmt.Sprintf("left: %s: %s\n", l.Finding, l.Reason)
	}
	return p.Symbols(text)
}
