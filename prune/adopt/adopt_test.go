//go:build linux

package adopt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan/layerdb"
)

// drawOne is the place one, its daemon and its one cascade: chains 3 and 2.
func drawOne(t *testing.T) (*place, Cascade) {
	t.Helper()
	p := draw(t, one)
	cascades, left := Cascades(p.graph, p.but())
	assert.Equal(t, len(cascades), 1)
	assert.Equal(t, len(left), 0)
	p.daemon = newModel(t, p.Case, p.tree)
	return p, cascades[0]
}

// chain is a chain's id by its name in the drawing.
func (p *place) chain(t *testing.T, n int) string {
	t.Helper()
	hex, err := p.Expand(fmt.Sprintf("{chain one %d}", n))
	assert.NilError(t, err)
	return "sha256:" + hex
}

// fails makes a call fail from the n-th on.
func failing(call string, n int, fail func(m *model)) func(m *model, call string) {
	return func(m *model, c string) {
		if c == call {
			if n--; n <= 0 {
				fail(m)
			}
		}
	}
}

func status(class error) error { return fmt.Errorf("as told: %w", class) }

// Every outcome that the daemon can bring about, and what is left then.
func TestAdopt(t *testing.T) {
	for _, test := range []struct {
		name    string
		more    func(t *testing.T, p *place, m *model)
		outcome Outcome
		deleted []int // chains that the daemon says it deleted
		says    string
		images  int // that are left of ours
	}{
		{name: "removed", outcome: Removed, deleted: []int{2, 3}, says: "deleted it"},
		{name: "a pull holds the top", more: func(t *testing.T, p *place, m *model) {
			m.layers[p.chain(t, 3)].refs++
		}, outcome: KeptByDaemon, says: "counts a reference to it"},
		{name: "a build holds what is below", more: func(t *testing.T, p *place, m *model) {
			m.layers[p.chain(t, 2)].refs++
		}, outcome: KeptByDaemon, deleted: []int{3}, says: "1 of 2 layers"},
		{name: "what kept the base is gone since", more: func(t *testing.T, p *place, m *model) {
			m.layers[p.chain(t, 1)].refs--
		}, outcome: MoreThanAsked, deleted: []int{1, 2, 3}, says: "too"},
		{name: "the daemon does not know the top", more: func(t *testing.T, p *place, m *model) {
			delete(m.layers, p.chain(t, 3))
			m.layers[p.chain(t, 2)].refs--
		}, outcome: PartlyUnknown, says: "layer 2"},
		{name: "the daemon knows nothing", more: func(_ *testing.T, _ *place, m *model) {
			clear(m.layers)
		}, outcome: AfterRestart, says: "next restart"},
		{name: "the load fails otherwise", more: func(_ *testing.T, _ *place, m *model) {
			m.loadErr = errors.New("no space left on device")
		}, outcome: LoadFailed, says: "load: no space left on device"},
		{name: "neither the load nor the question is answered", more: func(_ *testing.T, _ *place, m *model) {
			m.loadErr, m.imageErr = errors.New("EOF"), errors.New("connection refused")
		}, outcome: Unclear, says: "connection refused"},
		{name: "another removes the image before us", more: func(_ *testing.T, _ *place, m *model) {
			m.before = failing("image", 1, func(m *model) { m.prune() })
		}, outcome: AlreadyGone, says: "somebody else"},
		{name: "another removes the image while we do", more: func(_ *testing.T, _ *place, m *model) {
			m.before = failing("remove", 1, func(m *model) { m.prune() })
		}, outcome: AlreadyGone, says: "somebody else"},
		{name: "another gives the image a name", more: func(_ *testing.T, _ *place, m *model) {
			m.before = failing("image", 1, func(m *model) { m.rename("mine:1") })
		}, outcome: Taken, says: "mine:1", images: 1},
		{name: "a container uses the image", more: func(_ *testing.T, _ *place, m *model) {
			m.removeErr = status(errdefs.ErrConflict)
		}, outcome: Taken, says: "as told", images: 1},
		{name: "the driver fails", more: func(_ *testing.T, _ *place, m *model) {
			m.removeErr = status(errdefs.ErrInternal)
		}, outcome: DriverFailed, says: "as told", images: 1},
		{name: "the removal is not answered", more: func(_ *testing.T, _ *place, m *model) {
			m.removeErr = errors.New("EOF")
		}, outcome: Unclear, says: "EOF", images: 1},
		{name: "the image cannot be inspected", more: func(_ *testing.T, _ *place, m *model) {
			m.imageErr = status(errdefs.ErrInternal)
		}, outcome: Unclear, says: "cannot be inspected", images: 1},
		{name: "the daemon has another layer in mind", more: func(t *testing.T, p *place, m *model) {
			m.layers[p.chain(t, 3)].cacheID = strings.Repeat("0", 64)
		}, outcome: Disagrees, says: strings.Repeat("0", 64), images: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, cascade := drawOne(t)
			if test.more != nil {
				test.more(t, p, p.daemon)
			}
			r := Adopt(t.Context(), p.daemon, p.tree, cascade)
			assert.Equal(t, r.Outcome, test.outcome, r.Reason)
			assert.Assert(t, strings.Contains(r.Reason, test.says), r.Reason)
			var deleted []string
			for _, n := range test.deleted {
				deleted = append(deleted, p.chain(t, n))
			}
			slices.Sort(deleted)
			assert.DeepEqual(t, append([]string{}, r.Chains...), append([]string{}, deleted...))
			assert.Equal(t, len(p.daemon.images), 1+test.images)
			if test.images == 1 {
				assert.Assert(t, r.Image != "")
			}
			roundTrip(t, r)
		})
	}
}

// A result goes into a journal and comes out as it was.
func roundTrip(t *testing.T, r Result) {
	t.Helper()
	data, err := json.Marshal(r)
	assert.NilError(t, err)
	var read Result
	assert.NilError(t, json.Unmarshal(data, &read))
	read.Chains = append([]string{}, read.Chains...)
	r.Chains = append([]string{}, r.Chains...)
	assert.DeepEqual(t, read, r)
}

// prune is another's `docker image prune`.
func (m *model) prune() {
	for id, i := range m.images {
		if len(i.Tags) == 0 {
			chains := layerdb.ChainIDs(i.Diffs)
			m.release(chains[len(chains)-1])
			delete(m.images, id)
		}
	}
}

// rename is another's `docker tag` of whatever has no name.
func (m *model) rename(name string) {
	for id, i := range m.images {
		if len(i.Tags) == 0 {
			i.Tags = []string{name}
			m.images[id] = i
		}
	}
}

// An answer that is lost after the daemon did what it was asked changes
// nothing: the image is looked for and removed.
func TestAdoptLostAnswer(t *testing.T) {
	p, cascade := drawOne(t)
	r := Adopt(t.Context(), deaf{p.daemon}, p.tree, cascade)
	assert.Equal(t, r.Outcome, Removed, r.Reason)
	assert.Equal(t, len(p.daemon.images), 1)
}

// deaf does not hear that a load went well.
type deaf struct{ *model }

func (d deaf) Load(ctx context.Context, archive io.Reader) error {
	return errors.Join(d.model.Load(ctx, archive), errors.New("unexpected EOF"))
}

// A context that ends while the daemon works does not leave the image; one
// that ended before asks nothing.
func TestAdoptCancelled(t *testing.T) {
	for _, call := range []string{"load", "image", "remove"} {
		p, cascade := drawOne(t)
		ctx, cancel := context.WithCancel(t.Context())
		p.daemon.before = failing(call, 1, func(*model) { cancel() })
		r := Adopt(ctx, p.daemon, p.tree, cascade)
		assert.Equal(t, r.Outcome, Removed, "%s: %s", call, r.Reason)
		assert.Equal(t, len(p.daemon.images), 1)
	}
	p, cascade := drawOne(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := Adopt(ctx, p.daemon, p.tree, cascade)
	assert.Equal(t, r.Outcome, Refused)
	assert.Equal(t, len(p.daemon.calls), 0)
}

// What changed on disk since the cascade was computed: nothing is asked.
func TestAdoptChanged(t *testing.T) {
	const chain, layer = "image/overlay2/layerdb/sha256/{chain one %d}/", "overlay2/{layer %s}"
	top, below := fmt.Sprintf(chain, 3), fmt.Sprintf(chain, 2)
	base, a := fmt.Sprintf(chain, 1), fmt.Sprintf(layer, "a")
	for _, test := range []struct{ file, content, says string }{ // content "": removed
		{top + "cache-id", strings.Repeat("1", 64), "has changed"},
		{top + "cache-id", "../../etc", "is no layer's id"},
		{top + "cache-id", "", "no such file"},
		{top + "diff", "sha256:" + strings.Repeat("1", 64), "does not follow"},
		{top + "diff", "sha256:../x", "is no digest"},
		{top + "diff", strings.Repeat("x", 5000), "larger than"},
		{top + "parent", "", "does not follow"},
		{top + "parent", "sha256:" + strings.Repeat("1", 64), "does not follow"},
		{below + "cache-id", strings.Repeat("1", 64), "has changed"},
		{below + "diff", "", "no such file"},
		{base + "diff", "", "no such file"},
		{base + "size", "x", "is no number"},
		{below + "size", "", "no such file"},
		{top + "descriptor.json", "{", "unexpected end"},
		{base + "cache-id", "\x1b[2J", `is no layer's id`},
		{a + "/link", "", "no such file"},
		{a + "/link", " ", "is empty"},
		{a + "/link", "../l", "not a short name"},
		{a + "/link", strings.Repeat("A", 26), "no such file"},
		{a, "", "no such file"},
		{"overlay2/l/{link a}", "", "no such file"},
	} {
		t.Run(test.file+" "+test.content[:min(10, len(test.content))], func(t *testing.T) {
			p, cascade := drawOne(t)
			name, err := p.Expand(test.file)
			assert.NilError(t, err)
			path := filepath.Join(p.Dir, name)
			if test.content == "" {
				assert.NilError(t, os.RemoveAll(path))
			} else {
				assert.NilError(t, os.WriteFile(path, []byte(test.content), 0o600))
			}
			r := Adopt(t.Context(), p.daemon, p.tree, cascade)
			assert.Equal(t, r.Outcome, Refused, r.Reason)
			assert.Assert(t, strings.Contains(r.Reason, test.says), r.Reason)
			assert.Assert(t, !strings.ContainsRune(r.Reason, '\x1b'))
			assert.Equal(t, len(p.daemon.calls), 0)
		})
	}
	t.Run("a link that leads to another layer", func(t *testing.T) {
		p, cascade := drawOne(t)
		name, err := p.Expand("overlay2/l/{link a}")
		assert.NilError(t, err)
		assert.NilError(t, os.Remove(filepath.Join(p.Dir, name)))
		assert.NilError(t, os.Symlink("../"+strings.Repeat("1", 64)+"/diff", filepath.Join(p.Dir, name)))
		r := Adopt(t.Context(), p.daemon, p.tree, cascade)
		assert.Equal(t, r.Outcome, Refused)
		assert.Assert(t, strings.Contains(r.Reason, "leads to"), r.Reason)
	})
	assert.Equal(t, Adopt(t.Context(), &model{}, nil, Cascade{}).Outcome, Refused)
}

// What a killed run left goes; what was built on it, or only looks like it,
// stays.
func TestLeftovers(t *testing.T) {
	p, cascade := drawOne(t)
	m := p.daemon
	m.removeErr = errors.New("killed")
	left := Adopt(t.Context(), m, p.tree, cascade).Image
	assert.Assert(t, left != "")
	m.removeErr = nil
	built := m.images[left]
	built.ID, built.Diffs = "sha256:built", append(slices.Clone(built.Diffs), "sha256:more")
	m.images[built.ID] = built
	alike := m.images[left]
	alike.ID = "sha256:alike"
	m.images[alike.ID] = alike
	before := len(m.images)

	// What was begun is finished, whatever becomes of the caller.
	ctx, cancel := context.WithCancel(t.Context())
	m.before = failing("remove", 1, func(*model) { cancel() })
	results, err := Leftovers(ctx, m)
	assert.Assert(t, err == nil || errors.Is(err, context.Canceled))
	assert.Equal(t, len(results), 1)
	assert.Equal(t, results[0].Image, left)
	assert.Equal(t, results[0].Outcome, Removed, results[0].Reason)
	assert.DeepEqual(t, results[0].Chains, cascade.chains())
	assert.Equal(t, len(m.images), before-1)

	results, err = Leftovers(t.Context(), m)
	assert.NilError(t, err)
	assert.Equal(t, len(results), 0)
}
