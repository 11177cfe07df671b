package scan_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/whose"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// Every layer of the real roots is told to be whose it is: by its directory,
// by a path in it, by its id.
func TestWhoseOfRealRoots(t *testing.T) {
	for _, name := range testkit.RealRoots {
		t.Run(name, func(t *testing.T) {
			c, want := testkit.Unpack(t, "../testdata/roots", name)
			in := testkit.Input(t, c)
			g, findings := testkit.JudgeInput(t, in, c.Policy)
			byPointer := values(findings)
			x := whose.NewIndex(in, g, byPointer, nil)
			for id, layer := range want.DriverLayers {
				id := want.Object(id)
				dir := filepath.Join(in.DataRoot, in.Backends[0].Layer(id).Name)
				a := ask(t, x, dir)
				assert.Assert(t, a.Known(), id)
				assert.Assert(t, ask(t, x, dir+"/diff/etc/passwd") == a, "%s: a path in it is of another", id)
				assert.Assert(t, slices.Contains(x.ID(id), a), "%s: its id is of another", id)
				says := a.String()
				if layer.State == "orphan" {
					assert.Assert(t, strings.HasPrefix(says, a.Finding.Verdict.String()+": "), says)
				}
				for _, reason := range layer.Reasons {
					assertSays(t, a, reason)
				}
			}
			for image, is := range want.Images {
				_, err := in.Tree.Stat("image/" + c.Driver + "/imagedb/content/sha256/" + strings.TrimPrefix(image, "sha256:"))
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				for i, id := range is.CacheIDs {
					a := ask(t, x, filepath.Join(in.DataRoot, in.Backends[0].Layer(id).Name))
					names := append(is.Tags, scan.Short(image))
					at := slices.IndexFunc(a.Images, func(l whose.Layer) bool { return slices.Contains(names, l.Image) })
					assert.Assert(t, at >= 0, "%s: layer %d of %v: %v", id, i+1, names, a.Images)
					assert.Equal(t, a.Images[at].Number, i+1)
					assert.Equal(t, a.Images[at].Of, len(is.CacheIDs))
				}
			}
		})
	}
}

// assertSays asserts that an answer agrees with why a layer is there.
func assertSays(t *testing.T, a *whose.Answer, reason string) {
	t.Helper()
	of := func(prefix string) (string, bool) {
		name, ok := strings.CutPrefix(reason, prefix+" of container ")
		return name, ok && !strings.Contains(name, " ")
	}
	if name, ok := of("rw layer"); ok {
		assert.Equal(t, a.String(), "writable layer of container "+name)
	}
	if name, ok := of("init layer"); ok {
		assert.Equal(t, a.String(), "init layer of container "+name)
	}
	if name, ok := of("parent layer"); ok {
		assert.Assert(t, slices.Contains(a.Containers, name), "%s: %v", reason, a.Containers)
	}
	if image, ok := strings.CutPrefix(reason, "image "); ok && !strings.HasSuffix(image, "<none>") {
		_, tag, _ := strings.Cut(image, " ")
		assert.Assert(t, slices.ContainsFunc(a.Images, func(l whose.Layer) bool { return l.Image == tag }), "%s: %v", reason, a.Images)
	}
	if strings.HasPrefix(reason, "buildkit") && len(a.Images) == 0 {
		assert.Assert(t, len(a.Others) > 0 && strings.HasPrefix(a.Others[0], "build record"), "%s: %v", reason, a)
	}
}

func ask(t *testing.T, x *whose.Index, path string) *whose.Answer {
	t.Helper()
	a, err := x.Path(path)
	assert.NilError(t, err)
	return a
}

func values(findings []scan.Finding) []*scan.Finding {
	var all []*scan.Finding
	for i := range findings {
		all = append(all, &findings[i])
	}
	return all
}
