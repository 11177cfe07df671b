package scan_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/tests/testkit"
)

// switched is a root whose driver was vfs before. The old one has two images,
// and containers of which one has a volume.
const switched = `
image app: base top
container web app
with vfs image old: old-base old-top
with vfs image small: old-base
with vfs container gone old
with vfs container bare small
mkdir volumes/data/_data
with vfs write containers/{container gone}/hostconfig.json "{\"Binds\":[\"ROOT/volumes/data/_data:/data\"]}"
with vfs write containers/{container gone}/config.v2.json "{\"ID\":\"{container gone}\",\"Name\":\"/gone\",\"Driver\":\"vfs\",\"Created\":\"2021-01-02T03:04:05Z\",\"State\":{\"StartedAt\":\"2022-02-03T04:05:06.7Z\",\"FinishedAt\":\"0001-01-01T00:00:00Z\"},\"Config\":{\"Labels\":{\"team\":\"a\"}}}"
with vfs write containers/{container bare}/config.v2.json "{\"ID\":\"{container bare}\",\"Name\":\"/bare\",\"Driver\":\"vfs\",\"Config\":{\"Labels\":{\"team\":\"b\"}}}"
now +48h
`

// left returns what vfs left in a root that is overlay2's now.
func left(t *testing.T, c *testkit.Case) (*scan.Graph, *scan.Finding) {
	t.Helper()
	g, findings := testkit.Judge(t, c)
	for i := range findings {
		if findings[i].Type == scan.TypeBackend {
			assert.Equal(t, findings[i].ID, "vfs")
			return g, &findings[i]
		}
	}
	t.Fatal("nothing is left of vfs")
	return nil, nil
}

func run(t *testing.T, script string) *testkit.Case {
	t.Helper()
	c, err := testkit.Run(filepath.Join(t.TempDir(), "root"), "overlay2", script)
	assert.NilError(t, err)
	return c
}

// All that a driver left is one finding: its tree, its records, its containers'
// directories. It says what is in it.
func TestBackendIsOneFinding(t *testing.T) {
	for _, online := range []string{"", "online started=+1h\n"} {
		c := run(t, switched+online)
		_, f := left(t, c)
		assert.Equal(t, f.Verdict, scan.Orphan, f.Reason)
		assert.Assert(t, !f.Default)
		var paths []string
		for _, p := range f.Paths() {
			if dir, _ := filepath.Split(p); dir != "containers/" {
				paths = append(paths, p)
			}
		}
		assert.DeepEqual(t, paths, []string{"vfs", "image/vfs"})
		assert.Equal(t, len(f.Paths()), 4)
		assert.Equal(t, f.DataPath(), "vfs")

		contents := f.Parts[0].Note().Contents
		assert.Equal(t, contents.Lost, "")
		assert.Equal(t, len(contents.Images), 2)
		assert.Equal(t, contents.Images[0].Name, "old:1")
		assert.Equal(t, contents.Images[1].Name, "small:1")
		assert.Equal(t, len(contents.Containers), 2)
		assert.Equal(t, contents.Containers[0].Name, "bare")
		assert.Equal(t, contents.Containers[1].Name, "gone")
		assert.Equal(t, contents.Containers[1].Date.String(), "2022-02-03 04:05:06.7 +0000 UTC")
		assert.Equal(t, f.Was, "2 images (old:1, small:1), 2 containers (bare, gone; last used 2022-02-03)")

		a, b, x := "a", "b", "x"
		assert.Assert(t, f.Labels.Known && f.Labels.Have("team", nil) && f.Labels.Have("team", &a) && f.Labels.Have("team", &b))
		assert.Assert(t, !f.Labels.Have("team", &x) && !f.Labels.Have("other", nil))
	}
}

// The volumes of containers that the daemon did not load are in use (rule 16).
func TestVolumesOfOtherDriversAreUsed(t *testing.T) {
	g, _ := left(t, run(t, switched))
	used := false
	volume := scan.VolumeNode("data")
	for r := range g.Edges().To(volume) {
		for _, m := range g.Marks {
			used = used || m.Node == r.From && m.Verdict == scan.Used
		}
	}
	assert.Assert(t, used)
}

// What cannot be read is said, and is never taken for nothing.
func TestBackendWithDamage(t *testing.T) {
	for name, tc := range map[string]struct {
		damage  string
		lost    string // what going back would not find
		labels  bool   // all are known
		verdict scan.Verdict
	}{
		"a layer is gone":           {"with vfs rm LAYERS/{layer old-top}", "image old:1: layer vfs/dir/{layer old-top} is gone", true, scan.Orphan},
		"a record is gone":          {"with vfs rm image/DRIVER/layerdb/sha256/{chain old 2}", "image old:1: layer {chain old 2} has no record", true, scan.Orphan},
		"a cache-id is damaged":     {`with vfs write image/DRIVER/layerdb/sha256/{chain old 2}/cache-id "../../etc"`, `image old:1: cache-id "../../etc" of layer {chain old 2} is no layer's id`, true, scan.Orphan},
		"a config is damaged":       {`with vfs write image/DRIVER/imagedb/content/sha256/{image old} "{}"`, "image old:1: its content does not match its digest", false, scan.Orphan},
		"a config is gone":          {"with vfs rm image/DRIVER/imagedb/content/sha256/{image old}", "image old:1: its config is gone", false, scan.Orphan},
		"tags are damaged":          {`with vfs write image/DRIVER/repositories.json "{"`, "unexpected end of JSON input", false, scan.Orphan},
		"the image store is gone":   {"with vfs rm image/DRIVER/imagedb", "the records of its images are gone", false, scan.Orphan},
		"a container's layer":       {"with vfs rm LAYERS/{mount gone}", "container gone: layer vfs/dir/{mount gone} is gone", true, scan.Orphan},
		"a container's record":      {"with vfs rm image/DRIVER/layerdb/mounts/{container gone}", "container gone: its layer has no record", true, scan.Orphan},
		"a container's odd times":   {`with vfs write containers/{container gone}/config.v2.json "{\"ID\":\"{container gone}\",\"Driver\":\"vfs\",\"Created\":3}"`, "container {container gone}: Time.UnmarshalJSON", false, scan.Orphan},
		"a container's config":      {`with vfs write containers/{container gone}/config.v2.json "{"`, "", true, scan.Unsure},
		"the config is no file":     {"with vfs rm containers/{container gone}/config.v2.json\nwith vfs mkdir containers/{container gone}/config.v2.json", "", true, scan.Unsure},
		"the tree is a link":        {"mv vfs elsewhere\nlink vfs -> elsewhere", "", true, scan.Unknown},
		"the image store is a link": {"mv image/vfs elsewhere\nlink image/vfs -> ../elsewhere", "image/vfs", false, scan.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			c := run(t, switched+tc.damage+"\n")
			_, f := left(t, c)
			assert.Equal(t, f.Verdict, tc.verdict, f.Reason)
			got := c.Symbols(f.Parts[0].Note().Contents.Lost)
			if tc.verdict == scan.Orphan {
				assert.Assert(t, strings.HasPrefix(got, tc.lost) || strings.HasSuffix(got, tc.lost), got)
			}
			assert.Equal(t, f.Labels.Known, tc.labels)
		})
	}
}

// Whatever is mounted or open of a driver's tree holds all of it (rule 5).
func TestBackendIsHeld(t *testing.T) {
	for name, file := range map[string]struct{ name, text string }{
		"a mount at it":          {"1/mountinfo", "9 1 8:1 /x ROOT/vfs rw - ext4 /dev/x rw\n"},
		"a mount below it":       {"1/mountinfo", "9 1 8:1 /x ROOT/vfs/dir/{mount gone}/proc rw - ext4 /dev/x rw\n"},
		"a mount at its records": {"1/mountinfo", "9 1 8:1 /x ROOT/image/vfs rw - ext4 /dev/x rw\n"},
		"an overlay of a layer":  {"1/mountinfo", "9 1 0:9 / / rw - overlay overlay rw,lowerdir=/elsewhere/{layer old-top}/diff\n"},
		"a container's shm":      {"1/mountinfo", "9 1 0:9 / ROOT/containers/{container gone}/mounts/shm rw - tmpfs shm rw\n"},
		"an open file":           {"1/fd/3", "-> ROOT/vfs/dir/{layer old-top}/file"},
		"an open record":         {"1/fd/3", "-> ROOT/image/vfs/repositories.json"},
		"swap":                   {"swaps", "Filename Type Size Used Priority\nROOT/vfs/dir/swap file 1 0 -1\n"},
		"a shim":                 {"1/comm", "containerd-shim\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c := run(t, switched)
			in := testkit.Input(t, c)
			text, err := c.With("vfs", strings.ReplaceAll(file.text, "ROOT", c.Dir))
			assert.NilError(t, err)
			path := filepath.Join(in.Proc, file.name)
			if target, ok := strings.CutPrefix(text, "-> "); ok {
				assert.NilError(t, os.Symlink(target, path))
			} else {
				assert.NilError(t, os.WriteFile(path, []byte(text), 0o600))
			}
			if name == "a shim" {
				line, err := c.With("vfs", "shim\x00-id\x00{container gone}\x00")
				assert.NilError(t, err)
				assert.NilError(t, os.WriteFile(filepath.Join(in.Proc, "1/cmdline"), []byte(line), 0o600))
			}
			_, findings := testkit.JudgeInput(t, in, c.Policy)
			for _, f := range findings {
				if f.Type == scan.TypeBackend {
					assert.Equal(t, f.Verdict, scan.Held, f.Reason)
				} else {
					assert.Equal(t, f.Verdict, scan.Used, "%s %s: %s", f.Type, f.ID, f.Reason)
				}
			}
		})
	}
}

// A tree is not recognised by its name alone: another data root has the same.
func TestBackendOfAnotherRootHoldsNothing(t *testing.T) {
	c := run(t, switched)
	in := testkit.Input(t, c)
	line := "9 1 8:1 /vfs /elsewhere/vfs/dir/x rw - ext4 /dev/vfs rw,vfs=/elsewhere/image/vfs\n"
	assert.NilError(t, os.WriteFile(filepath.Join(in.Proc, "1/mountinfo"), []byte(line), 0o600))
	_, findings := testkit.JudgeInput(t, in, c.Policy)
	for _, f := range findings {
		assert.Assert(t, f.Verdict != scan.Held, "%s: %s", f.ID, f.Reason)
	}
}

// Where it is not known which driver the daemon uses, none goes (rule 12).
func TestBackendUndecided(t *testing.T) {
	c := run(t, switched)
	in := testkit.Input(t, c)
	in.Undecided = "nobody says"
	_, findings := testkit.JudgeInput(t, in, c.Policy)
	for _, f := range findings {
		if f.Type == scan.TypeBackend {
			assert.Equal(t, f.Verdict, scan.Unsure)
			assert.Equal(t, f.Reason, "storage driver: nobody says")
		}
	}
}

// A part of what a driver left that cannot be read is a doubt about it, and
// about nothing else (rule 1).
func TestBackendThatCannotBeRead(t *testing.T) {
	for _, read := range []string{
		"Stat vfs", "Stat image/vfs", "ReadDir vfs", "ReadDir vfs/dir", "Stat vfs/dir", "ReadDir image/vfs",
		"ReadDir image/vfs/layerdb/mounts", "Stat image/vfs/layerdb/sha256", "Stat image/vfs/repositories.json",
	} {
		c := run(t, switched+"layer stray on base\n")
		in := testkit.Tapped(t, c, func(r testkit.Read) error {
			if r.String() == read {
				return syscall.EIO
			}
			return nil
		})
		g, findings := testkit.JudgeInput(t, in, c.Policy)
		for _, f := range findings {
			assert.Assert(t, f.Type != scan.TypeBackend || f.Verdict == scan.Unsure, "%s: %s: %s", read, f.Verdict, f.Reason)
			assert.Assert(t, f.Type != scan.TypeLayer || f.Verdict == scan.Orphan, "%s: %s: %s", read, f.Verdict, f.Reason)
		}
		doubt := func(d scan.Doubt) bool { return d.Source == scan.SourceBackends }
		assert.Assert(t, slices.ContainsFunc(g.Doubts, doubt), read)
	}
}

// Before it goes it is walked for files that a process has open and that no
// path leads to (rule 5); as long as nobody names it that is not worth it.
func TestBackendIsWalkedOnceNamed(t *testing.T) {
	for _, named := range []bool{false, true} {
		c := run(t, switched+"with vfs write LAYERS/{layer old-top}/open \"x\"\n")
		in := testkit.Input(t, c)
		open, err := c.With("vfs", "vfs/dir/{layer old-top}/open")
		assert.NilError(t, err)
		alias := filepath.Join(t.TempDir(), "alias")
		assert.NilError(t, os.Symlink(filepath.Join(c.Dir, open), alias))
		assert.NilError(t, os.Symlink(alias, filepath.Join(in.Proc, "1/fd/7")))
		want := scan.Orphan
		if named {
			c.Policy.Walk, want = map[scan.Node]bool{{Kind: scan.KindBackend, Name: "vfs"}: true}, scan.Held
		}
		_, findings := testkit.JudgeInput(t, in, c.Policy)
		for _, f := range findings {
			if f.Type == scan.TypeBackend {
				assert.Equal(t, f.Verdict, want, f.Reason)
			}
		}
	}
}
