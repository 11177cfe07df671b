package source

import (
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/backend"
	"github.com/docker-orphans/docker-orphans/scan/bolt"
	"go.etcd.io/bbolt"
	"gotest.tools/v3/assert"
)

// buildNeeds lists what a source refers to, by the last element of its name.
func buildNeeds(g *scan.Graph, kind scan.Kind) []string {
	var names []string
	for r := range g.Refs {
		if r.To.Kind == kind && r.Why == scan.BySnapshot {
			names = append(names, filepath.Base(r.To.Name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// buildDoubts makes sure that all that BuildKit may own is in doubt, and nothing
// else, and returns what the doubts say.
func buildDoubts(t testing.TB, g *scan.Graph) string {
	t.Helper()
	var said []string
	build, chains := false, false
	for _, d := range g.Doubts {
		assert.Equal(t, d.Source, scan.SourceBuildKit)
		switch {
		case d.Scope.BuildID && len(d.Scope.Types) == 0:
			build = true
		case slices.Equal(d.Scope.Types, []scan.Type{scan.TypeImageLayer}) && !d.Scope.BuildID:
			chains = true
		default:
			t.Errorf("scope %+v", d.Scope)
		}
		said = append(said, d.String())
	}
	assert.Equal(t, build, chains)
	return strings.Join(slices.Compact(said), "\n")
}

// realRoot is a data root with databases of a real daemon (testdata/buildkit)
// and with the layers and chains that it had.
func realRoot(t testing.TB, set, layers, chains string) string {
	t.Helper()
	root := t.TempDir()
	putDirs(t, root, "buildkit", "overlay2", "image/overlay2/layerdb/sha256")
	for _, name := range []string{"snapshots", "metadata_v2", "containerdmeta"} {
		f, err := os.Open(filepath.Join("testdata/buildkit", set, name+".db.gz"))
		assert.NilError(t, err)
		defer f.Close()
		z, err := gzip.NewReader(f)
		assert.NilError(t, err)
		data, err := io.ReadAll(z)
		assert.NilError(t, err)
		putFile(t, root, "buildkit/"+name+".db", string(data))
	}
	for _, id := range strings.Fields(layers) {
		putDirs(t, root, "overlay2/"+id+"/diff")
		putFile(t, root, "overlay2/"+id+"/link", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	}
	for _, id := range strings.Fields(chains) {
		putDirs(t, root, "image/overlay2/layerdb/sha256/"+id)
	}
	return root
}

const (
	builtLayers = `3844nunzm8ufz8g02k4x2s3yx amx5shigq4755bvv68wsxnygk enhyxvzdph7akgfmj2974l1f0 g8nnpfkzbbilnfxyuyslcb1x9
		isku9xut866fcdw7qvbsg8u2f oyi4rlg3wvldeiebcq61nw6po p29wc8o6a02mfuc0bfhaa3mst sdbmz75fkk9c4200ivdjsyjpi
		sznn18nz4ebgkg0alkag6q8gc zi4j7ksmw1v7n4gicfcvma2t7`
	builtChains = `29554ba50dfeef569a7852f207aa20ff0344d94f630e48e767ba000b5cf483df
		3288dff0b1e0aeff2eb7788bbbb8796aa120031a69697b108cda4114ca505c5c
		4913fdf3d150860261f7d341eb11633a1f619147aae8283f0291946b7cf5f65f
		7ad0fecff9949176b6c375d18c7d07d2ab7a2b5a03b4774cf7c88803542b50bf
		7cb8e7c101bd4ab2624d4e50e3707b4ab72e2adfd6e567a489f6ed3426904e01
		e4ab9fbc1c22bdb1b6222944d6d4c385f7936b454cb3bf972fed424b0668c0aa`
	strayBuild = "zzzzzzzzzzzzzzzzzzzzzzzzz"
	strayChain = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
)

func wordsOf(text string) []string { return strings.Fields(text) }

func sortedWords(text string) string {
	list := wordsOf(text)
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestBuildKitOfARealDaemon(t *testing.T) {
	dupLayers := `4v08yiucwjizxo5gdm6stc3db 6w7ldqmczx23e3gin3xzifh11 b5xn7iqh323r05qlvbkvbgp3v gg5kib556w4vvnhzfbei2tghi
		joaxi8vxswh9vjqpqxib206px pdte7bm3zdd8ldl9y6vbmddk5 rpxiqh33tflukly7qv274slub wgl7c9qy7zsxwokv98fhwvrzs
		zjis2cc1sjdw9ayd068ezlwyf`
	dupChains := `0c3b7057dbda0115d686e551f46b73ef121cf7fd18f5a4bc59301f27cbfcbb8a
		5acca2057e3f4bbcf85a61171b0f13cd7f38a8361fb6fabd00da3f7c9c05cd2a
		a3dd37f50d1d7479f71bbc7d8b08265e3742232a521bb2463761e4af0769159e
		d7e4bc56e9401e307a6826fdfb49daaca0dd18e6812bdf33e86700377a8c047f`
	imageLayers := `b5xn7iqh323r05qlvbkvbgp3v joaxi8vxswh9vjqpqxib206px pdte7bm3zdd8ldl9y6vbmddk5 wgl7c9qy7zsxwokv98fhwvrzs
		zjis2cc1sjdw9ayd068ezlwyf`
	tests := []struct {
		set            string
		layers, chains string // that the build cache needs
		others         string // layers and chains that are there and that it does not need
		note           string
	}{
		{"built", builtLayers, builtChains, "", "19 records, 15 leases, 26 snapshots"},
		// The images still have them; BuildKit does not.
		{"pruned", "", "", builtLayers + builtChains, "0 records, 0 leases, 0 snapshots; 5 stale leases of chains"},
		// Both copies of a layer that was built twice, of which the registry
		// knows one; the chains of the first images were pruned before.
		{"dup", dupLayers, dupChains, builtLayers + builtChains, "12 records, 9 leases, 15 snapshots; 5 stale leases of chains"},
		// The base's layers are buildNeeds as chains; the copy that was pruned
		// is in no database, though the image lies on it.
		{
			"running", "eqgquky1y8dvjslv7e90y4b7e j07fs5knu6r2k5gztzr5q1uw8 j8ijee5qnpjrm2ts6cru4thqs wpqrappuy7p7nyqfvvxr082qg",
			strings.Join(wordsOf(dupChains)[:3], " "), imageLayers, "9 records, 7 leases, 11 snapshots; 5 stale leases of chains",
		},
	}
	for _, test := range tests {
		t.Run(test.set, func(t *testing.T) {
			all := test.layers + " " + test.chains + " " + test.others
			layers := slices.DeleteFunc(wordsOf(all), func(id string) bool { return len(id) != 25 })
			chains := slices.DeleteFunc(wordsOf(all), func(id string) bool { return len(id) != 64 })
			root := realRoot(t, test.set, strings.Join(layers, " "), strings.Join(chains, " "))
			in, g := inputOf(t, root, backend.Overlay2, backend.VFS)
			g.Doubts = nil // of the layers, which are empty
			note, err := BuildKit.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			assert.Equal(t, buildDoubts(t, g), "")
			assert.Equal(t, note, test.note)
			assert.Equal(t, strings.Join(buildNeeds(g, scan.KindLayer), " "), sortedWords(test.layers))
			assert.Equal(t, strings.Join(buildNeeds(g, scan.KindChain), " "), sortedWords(test.chains))
			for r := range g.Refs {
				if r.Why == scan.BySnapshot {
					assert.Assert(t, slices.ContainsFunc(g.Marks, func(m scan.Mark) bool { return m.Node == r.From && m.Verdict == scan.Used }), "%v", r)
				}
			}
		})
	}
}

// TestBuildKitInDoubt damages, removes or hides one thing at a time.
func TestBuildKitInDoubt(t *testing.T) {
	remove := func(name string) func(t *testing.T, in *scan.Input) {
		return func(t *testing.T, in *scan.Input) { assert.NilError(t, os.RemoveAll(filepath.Join(in.DataRoot, name))) }
	}
	empty := func(name string) func(t *testing.T, in *scan.Input) {
		return func(t *testing.T, in *scan.Input) {
			assert.NilError(t, os.Truncate(filepath.Join(in.DataRoot, name), 0))
		}
	}
	flip := func(name string) func(t *testing.T, in *scan.Input) {
		return func(t *testing.T, in *scan.Input) {
			data, err := os.ReadFile(filepath.Join(in.DataRoot, name))
			assert.NilError(t, err)
			for page := 2; page < len(data)/4096; page++ {
				data[page*4096+8] ^= 0x80 // the type
			}
			putFile(t, in.DataRoot, name, string(data))
		}
	}
	broken := func(name string) func(t *testing.T, in *scan.Input) {
		return func(_ *testing.T, in *scan.Input) { in.Tree = brokenTree{in.Tree, name, syscall.EIO} }
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, in *scan.Input)
		doubt  string
		rest   bool // what other databases name is still found
	}{
		{"intact", func(*testing.T, *scan.Input) {}, "", true},
		{"directory gone", remove("buildkit"), "buildkit: is missing", false},
		{"directory unreadable", broken("buildkit"), "buildkit: input/output error", false},
		{"directory is a link", func(t *testing.T, in *scan.Input) {
			name := filepath.Join(in.DataRoot, "buildkit")
			assert.NilError(t, os.Rename(name, name+".moved"))
			assert.NilError(t, os.Symlink("buildkit.moved", name))
		}, "buildkit: is a symbolic link", false},
		{"directory is a file", func(t *testing.T, in *scan.Input) {
			remove("buildkit")(t, in)
			putFile(t, in.DataRoot, "buildkit", "")
		}, "buildkit: is not a directory", false},
		{"no snapshots", remove("buildkit/snapshots.db"), "buildkit/snapshots.db: is missing", true},
		{"no leases", remove("buildkit/containerdmeta.db"), "buildkit/containerdmeta.db: is missing", true},
		{"no records", remove("buildkit/metadata_v2.db"), "buildkit/metadata_v2.db: is missing", true},
		{"snapshots empty", empty("buildkit/snapshots.db"), "buildkit/snapshots.db: damaged database: ends at byte 0", true},
		{"leases empty", empty("buildkit/containerdmeta.db"), "buildkit/containerdmeta.db: damaged database", true},
		{"records empty", empty("buildkit/metadata_v2.db"), "buildkit/metadata_v2.db: damaged database", true},
		{"snapshots damaged", flip("buildkit/snapshots.db"), "buildkit/snapshots.db: damaged database: page ", true},
		{"leases damaged", flip("buildkit/containerdmeta.db"), "buildkit/containerdmeta.db: damaged database: page ", true},
		{"records damaged", flip("buildkit/metadata_v2.db"), "buildkit/metadata_v2.db: damaged database: page ", true},
		{"busy", func(_ *testing.T, in *scan.Input) {
			in.Bolt = func(context.Context, string) (*bbolt.DB, error) { return nil, bolt.ErrBusy }
		}, "buildkit/snapshots.db: changes faster than it can be copied", false},
		{"old records only", func(t *testing.T, in *scan.Input) {
			name := filepath.Join(in.DataRoot, "buildkit/metadata")
			assert.NilError(t, os.Rename(name+"_v2.db", name+".db"))
		}, "buildkit/metadata_v2.db: is missing", true},
		{"old engine", func(t *testing.T, in *scan.Input) { // 18.06 to 19.03
			name := filepath.Join(in.DataRoot, "buildkit/metadata")
			assert.NilError(t, os.Rename(name+"_v2.db", name+".db"))
			remove("buildkit/containerdmeta.db")(t, in)
		}, "", true},
		{"old databases on a new engine", func(t *testing.T, in *scan.Input) {
			name := filepath.Join(in.DataRoot, "buildkit/metadata")
			assert.NilError(t, os.Rename(name+"_v2.db", name+".db"))
			remove("buildkit/containerdmeta.db")(t, in)
			in.Daemon, in.Info.Version = silentDaemon{}, "20.10.24+dfsg1"
		}, "buildkit/containerdmeta.db: is missing\nbuildkit/metadata_v2.db: is missing", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in, g := inputOf(t, realRoot(t, "built", builtLayers+" "+strayBuild, builtChains+" "+strayChain), backend.Overlay2)
			g.Doubts = nil
			test.damage(t, in)
			_, err := BuildKit.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			said := buildDoubts(t, g)
			assert.Equal(t, said != "", test.doubt != "", said)
			assert.Assert(t, strings.HasPrefix(said, test.doubt), said)
			if test.rest {
				// Each of the three names all of these.
				for _, id := range []string{"amx5shigq4755bvv68wsxnygk", "oyi4rlg3wvldeiebcq61nw6po"} {
					assert.Assert(t, slices.Contains(buildNeeds(g, scan.KindLayer), id))
				}
				assert.Assert(t, slices.Contains(buildNeeds(g, scan.KindChain), wordsOf(builtChains)[0]))
			}
			assert.Assert(t, !slices.Contains(buildNeeds(g, scan.KindLayer), strayBuild))
			assert.Assert(t, !slices.Contains(buildNeeds(g, scan.KindChain), strayChain))
		})
	}
}

func TestBuildKitMissing(t *testing.T) {
	tests := []struct {
		name    string
		version string // "": no daemon
		layer   string
		doubt   bool
	}{
		{"offline, nothing built", "", strings.Repeat("a", 64), false},
		{"offline, layers of BuildKit", "", strayBuild, true},
		{"before BuildKit", "17.05.0-ce", strings.Repeat("a", 64), false},
		{"before BuildKit, layers of BuildKit", "17.05.0-ce", strayBuild, true},
		{"an experiment that was not on", "18.06.3-ce", strings.Repeat("a", 64), false},
		{"with BuildKit", "18.09.9", strings.Repeat("a", 64), true},
		{"today", "28.5.2", strings.Repeat("a", 64), true},
		{"a version that is none", "dev", strings.Repeat("a", 64), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			putDirs(t, root, "vfs/dir/"+test.layer)
			in, g := inputOf(t, root, backend.VFS)
			if test.version != "" {
				in.Daemon, in.Info.Version = silentDaemon{}, test.version
			}
			note, err := BuildKit.Collect(t.Context(), in, g)
			assert.NilError(t, err)
			assert.Equal(t, buildDoubts(t, g) != "", test.doubt)
			assert.Equal(t, note == "no BuildKit on this engine", !test.doubt)
		})
	}
	t.Run("a mount of BuildKit's", func(t *testing.T) {
		in, g := inputOf(t, t.TempDir(), backend.VFS)
		g.Add(scan.Object{Node: scan.MountNode("vfs", strayBuild)})
		_, err := BuildKit.Collect(t.Context(), in, g)
		assert.NilError(t, err)
		assert.Assert(t, buildDoubts(t, g) != "")
	})
}

func TestBuildKitStopsWithItsContext(t *testing.T) {
	in, g := inputOf(t, realRoot(t, "built", builtLayers, ""), backend.Overlay2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := BuildKit.Collect(ctx, in, g)
	assert.ErrorIs(t, err, context.Canceled)
}
