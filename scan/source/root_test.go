package source

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/bolt"
	"github.com/docker-orphans/docker-orphans/scan/tree"
	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
)

var (
	hex1 = strings.Repeat("1", 64)
	hex2 = strings.Repeat("2", 64)
	hex3 = strings.Repeat("3", 64)
)

// inputOf is a scan of a data root whose layers were enumerated.
func inputOf(t testing.TB, root string, backends ...*scan.Backend) (*scan.Input, *scan.Graph) {
	t.Helper()
	disk, err := tree.Open(root)
	assert.NilError(t, err)
	t.Cleanup(func() { disk.Close() })
	in := &scan.Input{Tree: disk, DataRoot: root, Proc: "/proc", Backends: backends}
	in.Bolt = func(ctx context.Context, name string) (*bbolt.DB, error) { return bolt.Copy(ctx, in.Tree, name) }
	g := scan.NewGraph()
	for _, b := range backends {
		assert.NilError(t, os.MkdirAll(filepath.Join(root, b.Dir), 0o700))
		assert.NilError(t, b.Enumerate(t.Context(), in, g))
	}
	return in, g
}

func putDirs(t testing.TB, root string, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		assert.NilError(t, os.MkdirAll(filepath.Join(root, dir), 0o700))
	}
}

func putFile(t testing.TB, root, name, data string) {
	t.Helper()
	putDirs(t, root, filepath.Dir(name))
	assert.NilError(t, os.WriteFile(filepath.Join(root, name), []byte(data), 0o600))
}

// collected lists what a source of references says is live, one line each:
// the marked node, → what it refers to.
func collected(g *scan.Graph) []string {
	var lines []string
	for _, m := range g.Marks {
		lines = append(lines, m.Node.String())
	}
	for r := range g.Refs {
		if r.Why == scan.BySnapshot || r.Why == scan.ByVolume || r.Why == scan.ByPath {
			lines = append(lines, r.From.String()+" → "+r.To.String()+" ("+r.Why.String()+")")
		}
	}
	slices.Sort(lines)
	return lines
}

// putLink makes a symbolic link whose target may name the data root.
func putLink(t testing.TB, root, target, name string) {
	t.Helper()
	putDirs(t, root, filepath.Dir(name))
	assert.NilError(t, os.Symlink(strings.ReplaceAll(target, "ROOT", root), filepath.Join(root, name)))
}

// A silentDaemon answers nothing: it is only there.
type silentDaemon struct{ scan.Daemon }

// A brokenTree is a tree of which one name cannot be read.
type brokenTree struct {
	scan.Tree
	name string
	err  error
}

func (b brokenTree) fail(name string) error {
	if name == b.name {
		return b.err
	}
	return nil
}

func (b brokenTree) ReadDir(name string) ([]scan.Entry, error) {
	if err := b.fail(name); err != nil {
		return nil, err
	}
	return b.Tree.ReadDir(name)
}

func (b brokenTree) ReadFile(name string, limit int64) ([]byte, error) {
	if err := b.fail(name); err != nil {
		return nil, err
	}
	return b.Tree.ReadFile(name, limit)
}

func (b brokenTree) ReadLink(name string) (string, error) {
	if err := b.fail(name); err != nil {
		return "", err
	}
	return b.Tree.ReadLink(name)
}

func (b brokenTree) Stat(name string) (scan.Info, error) {
	if err := b.fail(name); err != nil {
		return scan.Info{}, err
	}
	return b.Tree.Stat(name)
}

// birthless is a tree of a file system that tells no births.
type birthless struct{ scan.Tree }

func (b birthless) Stat(name string) (scan.Info, error) {
	info, err := b.Tree.Stat(name)
	info.Stamp.Birth = time.Time{}
	return info, err
}
