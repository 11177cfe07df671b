//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/prune/adopt"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/daemon"
	"github.com/docker-orphans/docker-orphans/scan/layerdb"
	"github.com/docker-orphans/docker-orphans/scan/locate"
	"github.com/docker-orphans/docker-orphans/scan/source"
	"github.com/docker-orphans/docker-orphans/tests/engine"
)

func TestAdopt(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *host){
		"orphans": adoptOrphans, "in use": adoptInUse, "outcomes": adoptOutcomes,
	} {
		at(t, everywhere, name, test)
	}
}

// An adopter is what adoption needs of a host.
type adopter struct {
	*host
	api adopt.Daemon
	in  *scan.Input
}

func newAdopter(t *testing.T, h *host) *adopter {
	t.Helper()
	c, err := client.NewClientWithOpts(client.WithHost(h.Host), client.WithAPIVersionNegotiation())
	assert.NilError(t, err)
	t.Cleanup(func() { c.Close() })
	in, closeRoot, err := locate.Find(t.Context(), locate.Options{Daemon: daemon.New(c), Endpoint: h.Host, Proc: "/proc"})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, closeRoot()) })
	return &adopter{h, adopt.Engine(c), in}
}

// cascades asks until as many image layers are orphans as there must be, and
// returns what adopts them.
func (a *adopter) cascades(t *testing.T, orphans int) []adopt.Cascade {
	t.Helper()
	found := 0
	for range patience {
		g := scan.Scan(t.Context(), a.in, source.All)
		all, err := scan.Judge(t.Context(), a.in, g, scan.Policy{Now: time.Now(), Grace: scan.DefaultGrace})
		assert.NilError(t, err)
		found = 0
		for _, f := range all {
			if f.Verdict == scan.Orphan && f.Type == scan.TypeImageLayer {
				found++
			}
		}
		if found == orphans {
			cascades, left := adopt.Cascades(g, all)
			assert.Equal(t, len(left), 0, "%v", left)
			return cascades
		}
		time.Sleep(200 * time.Millisecond)
	}
	assert.Assert(t, false, "%d orphaned chains, must be %d", found, orphans)
	return nil
}

// cascade is the adoption of one chain, whatever the program says of it.
func (a *adopter) cascade(t *testing.T, chains ...string) adopt.Cascade {
	t.Helper()
	c := adopt.Cascade{Backend: a.Driver}
	for _, chain := range chains {
		_, layer := a.Registered(t, chain)
		c.Falls = append(c.Falls, adopt.Link{Chain: chain, Layer: scan.Node{Kind: scan.KindLayer, Name: layer}})
	}
	return c
}

// layersOf are the chains of an image, the top first.
func (a *adopter) layersOf(t *testing.T, image string) []string {
	t.Helper()
	chains := layerdb.ChainIDs(a.Lines(t, "image", "inspect", "--format", "{{join .RootFS.Layers \"\\n\"}}", image))
	slices.Reverse(chains)
	return chains
}

// lose makes orphans of an image's chains: its tag and its config go.
func (a *adopter) lose(t *testing.T, images ...string) {
	t.Helper()
	a.stopped(t, func() {
		for _, i := range images {
			a.Lose(t, a.ImageConfig(i))
		}
	})
}

// dangling loads an image without a name that shares no layer with any other,
// and returns its id and its chains, the top first.
func (a *adopter) untagged(t *testing.T, name string) (image string, chains []string) {
	t.Helper()
	image = a.Load(t, engine.Archive("", engine.Tar(engine.File{Name: name, Data: "1"}), engine.Tar(engine.File{Name: name + "2", Data: "2"})))
	return image, a.layersOf(t, image)
}

// assertGone asserts that neither the record nor the layer of a chain is left.
func (a *adopter) assertGone(t *testing.T, c adopt.Cascade) {
	t.Helper()
	for _, l := range c.Falls {
		assert.Check(t, !a.Has(a.Chains()+"/"+strings.TrimPrefix(l.Chain, "sha256:")), l.Chain)
		assert.Check(t, !a.Has(l.Layer.Name), l.Layer.Name)
	}
}

// Every orphaned chain goes, and nothing else: of an image on a live layer
// only what is above that, of a killed pull all of it.
func adoptOrphans(t *testing.T, h *host) {
	before := engine.Snapshot(t, h.Daemon)
	left := h.KillInLoad(t, 1<<20)
	h.Start(t)
	pulled := h.KillInPull(t)
	h.again(t)
	shared := h.Build(t, "shared:1", "FROM base:1\nCOPY s /s\nCOPY t /t\n", engine.File{Name: "s", Data: "s"}, engine.File{Name: "t", Data: "t"})
	a := newAdopter(t, h)
	chains := a.layersOf(t, shared)
	assert.Equal(t, len(chains), 3)
	parents := h.Lines(t, "image", "inspect", "--format", "{{.Parent}}", shared)
	h.Docker(t, "rmi", "--no-prune", "shared:1")
	// Its intermediate image is left, and has all but its topmost layer.
	lost := h.Load(t, engine.Archive("", engine.Tar(h.Base(t)...), engine.Tar(engine.File{Name: "u", Data: "u"})))
	top := a.layersOf(t, lost)[0]
	a.lose(t, lost, parents[0])
	a = newAdopter(t, h)

	var deleted []string
	for _, c := range a.cascades(t, 4) {
		r := adopt.Adopt(t.Context(), a.api, a.in.Tree, c)
		assert.Equal(t, r.Outcome, adopt.Removed, r.Reason)
		a.assertGone(t, c)
		deleted = append(deleted, r.Chains...)
	}
	want := []string{"sha256:" + filepath.Base(left.Chain), "sha256:" + filepath.Base(pulled.Record), chains[1], top}
	slices.Sort(want)
	slices.Sort(deleted)
	assert.DeepEqual(t, deleted, want)
	a.cascades(t, 0)
	h.Restart(t)
	h.Docker(t, "start", h.up)
	engine.Check(t, h.Daemon, before)
}

// What looks like an orphan on disk and is in use by what only the daemon
// knows is kept by the daemon, every bit of it.
func adoptInUse(t *testing.T, h *host) {
	a := newAdopter(t, h)
	// A pull that waits for its last layer.
	p := h.BeginPull(t)
	c := a.cascade(t, "sha256:"+filepath.Base(p.Record))
	r := adopt.Adopt(t.Context(), a.api, a.in.Tree, c)
	assert.Equal(t, r.Outcome, adopt.KeptByDaemon, r.Reason)
	assert.Equal(t, len(r.Chains), 0)
	h.Down(t, p.Finish(t), "true")

	// A build's cache, whose image is gone.
	dockerfile := "FROM base:1\nRUN head -c 99 /dev/urandom >/r\n"
	cachedBuild(t, h, dockerfile)
	chains := a.layersOf(t, "cached:1")
	h.Docker(t, "rmi", "cached:1")
	r = adopt.Adopt(t.Context(), a.api, a.in.Tree, a.cascade(t, chains[0]))
	assert.Equal(t, r.Outcome, adopt.KeptByDaemon, r.Reason)
	assert.Equal(t, len(r.Chains), 0)
	cachedBuild(t, h, dockerfile)
	assert.DeepEqual(t, a.layersOf(t, "cached:1"), chains) // it was cached: to run again would make another layer
	h.Down(t, "cached:1", "true")

	// Somebody makes a container of the image that adopts it, or an image.
	for _, use := range []func(id string){
		func(id string) { h.Create(t, "--name=user", id, "true") },
		func(id string) { h.Build(t, "user:1", "FROM "+id+"\nLABEL a=b\n") },
	} {
		image, chains := a.untagged(t, "used")
		c := a.cascade(t, chains...)
		a.lose(t, image)
		a = newAdopter(t, h)
		r = adopt.Adopt(t.Context(), &meddler{Daemon: a.api, use: use}, a.in.Tree, c)
		assert.Equal(t, r.Outcome, adopt.Taken, r.Reason)
		results, err := adopt.Leftovers(t.Context(), a.api)
		assert.NilError(t, err)
		assert.Equal(t, len(results), 1)
		assert.Equal(t, results[0].Outcome, adopt.Taken, results[0].Reason)
		h.Try(nil, "rm", "user")
		h.Try(nil, "rmi", "--no-prune", "user:1")
		results, err = adopt.Leftovers(t.Context(), a.api)
		assert.NilError(t, err)
		assert.Equal(t, len(results), 1)
		assert.Equal(t, results[0].Outcome, adopt.Removed, results[0].Reason)
		a.assertGone(t, c)
	}
}

// cachedBuild builds cached:1 with BuildKit, from its cache if it can.
func cachedBuild(t *testing.T, h *host, dockerfile string) {
	t.Helper()
	cmd := h.Command(t.Context(), "build", "--network=none", "--tag", "cached:1", "-")
	cmd.Env = append(cmd.Env, "DOCKER_BUILDKIT=1")
	cmd.Stdin = bytes.NewReader(engine.Tar(engine.File{Name: "Dockerfile", Data: dockerfile}))
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "%s", out)
}

// A meddler does something with an image as soon as it is loaded.
type meddler struct {
	adopt.Daemon
	use  func(id string)
	fail error // of Remove
}

func (m *meddler) Remove(ctx context.Context, id string) ([]string, error) {
	if m.use != nil {
		m.use(id)
	}
	if m.fail != nil {
		return nil, m.fail
	}
	return m.Daemon.Remove(ctx, id)
}

// What else the daemon may answer.
func adoptOutcomes(t *testing.T, h *host) {
	before := engine.Snapshot(t, h.Daemon)
	a := newAdopter(t, h)
	early, earlyChains := a.untagged(t, "early")
	partly, partlyChains := a.untagged(t, "partly")
	broken, brokenChains := a.untagged(t, "broken")
	killed, killedChains := a.untagged(t, "killed")
	early1, partly1 := a.cascade(t, earlyChains...), a.cascade(t, partlyChains...)
	broken1, killed1 := a.cascade(t, brokenChains...), a.cascade(t, killedChains...)
	a.lose(t, early, partly, broken, killed)

	// Records that are there again only after the daemon has started.
	records := []string{earlyChains[0], earlyChains[1], partlyChains[0]}
	h.stopped(t, func() { h.away(t, records, "", ".away") })
	h.away(t, records, ".away", "")
	a = newAdopter(t, h)
	r := adopt.Adopt(t.Context(), a.api, a.in.Tree, early1)
	assert.Equal(t, r.Outcome, adopt.AfterRestart, r.Reason)
	r = adopt.Adopt(t.Context(), a.api, a.in.Tree, partly1)
	assert.Equal(t, r.Outcome, adopt.PartlyUnknown, r.Reason)
	h.Restart(t)
	a = newAdopter(t, h)
	r = adopt.Adopt(t.Context(), a.api, a.in.Tree, early1)
	assert.Equal(t, r.Outcome, adopt.Removed, r.Reason)
	a.assertGone(t, early1)

	// A file that the driver cannot remove.
	file := h.Path(h.Content(broken1.Falls[0].Layer.Name) + "/broken2")
	if h.Driver == "btrfs" {
		file = filepath.Dir(file) // a subvolume goes with all that is in it, whatever its flags
	}
	setImmutable(t, file, true)
	r = adopt.Adopt(t.Context(), a.api, a.in.Tree, broken1)
	setImmutable(t, file, false)
	assert.Equal(t, r.Outcome, adopt.DriverFailed, r.Reason)

	// We are killed between the load and the removal.
	r = adopt.Adopt(t.Context(), &meddler{Daemon: a.api, fail: errors.New("killed")}, a.in.Tree, killed1)
	assert.Equal(t, r.Outcome, adopt.Unclear, r.Reason)
	h.Restart(t)
	a = newAdopter(t, h)
	results, err := adopt.Leftovers(t.Context(), a.api)
	assert.NilError(t, err)
	assert.Equal(t, len(results), 1)
	assert.Equal(t, results[0].Outcome, adopt.Removed, results[0].Reason)
	a.assertGone(t, killed1)

	h.Docker(t, "start", h.up)
	engine.Check(t, h.Daemon, before)
}

// away renames the records of chains.
func (h *host) away(t *testing.T, chains []string, from, to string) {
	t.Helper()
	for _, c := range chains {
		name := h.Path(h.Chains() + "/" + strings.TrimPrefix(c, "sha256:"))
		assert.NilError(t, os.Rename(name+from, name+to))
	}
}

// setImmutable sets or clears the flag of a file that keeps even root from
// removing it.
const immutable = 0x10 // FS_IMMUTABLE_FL

func setImmutable(t *testing.T, path string, yes bool) {
	t.Helper()
	f, err := os.Open(path)
	assert.NilError(t, err)
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	assert.NilError(t, err)
	if flags &^= immutable; yes {
		flags |= immutable
	}
	assert.NilError(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags))
}
