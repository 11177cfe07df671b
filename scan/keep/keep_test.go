package keep

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

var now = time.Date(2027, 1, 31, 12, 0, 0, 0, time.Local)

func TestParse(t *testing.T) {
	for text, want := range map[string]*scan.KeepEntry{
		"":                               nil,
		"  # only a reason":              nil,
		"web*":                           {Pattern: "web*"},
		" layer:3f9c  # ticket 12 # x":   {Type: scan.TypeLayer, Pattern: "3f9c", Reason: "ticket 12 # x"},
		"app:1":                          {Pattern: "app:1"}, // no type: a tag
		"rw-layer:* until=2027-01-31 #y": {Type: scan.TypeRWLayer, Pattern: "*", Reason: "y"},
		"x until=2027-01-30":             nil, // that was yesterday
		"sha256:3f9c":                    {Pattern: "3f9c"},
		"image-layer:sha256:3f9c":        {Type: scan.TypeImageLayer, Pattern: "3f9c"},
		"[v]olumes:1":                    {Pattern: "[v]olumes:1"}, // an image
		"example.org/volumes:1":          {Pattern: "example.org/volumes:1"},
		"blog:1":                         {Pattern: "blog:1"}, // no blob
	} {
		e, err := parse(text, "", now)
		assert.NilError(t, err, text)
		assert.DeepEqual(t, e, want)
	}
	for text, want := range map[string]string{
		"layer:":             `"layer:" names nothing`,
		"[a":                 `"[a": not a pattern`,
		"a b":                `"b": not known`,
		"a until=31.12.2030": `not a date`,
		"a forever":          "not known",
		"volumes:x":          `"volumes:x": there is no type volumes (types: layer, image-layer, rw-layer, container, volume, `,
		"Volume:x":           `if it is an image's name, write [V]olume:x)`,
		"cotnainer:x":        "there is no type cotnainer",
		"rwlayer:x":          "there is no type rwlayer",
		"image_layer:x":      "there is no type image_layer",
		"image:x":            "there is no type image",
	} {
		e, err := parse(text, "", now)
		assert.ErrorContains(t, err, want)
		assert.Assert(t, e == nil)
	}
	list, err := Parse("web, b c,layer:x", "here", now)
	assert.ErrorContains(t, err, `here: "c"`)
	assert.Equal(t, len(list), 2, "what can be understood counts")
}

// An id may be cut; what is left of it is never too short after a type.
func TestMatches(t *testing.T) {
	const (
		id    = "021beb123a03c1b21b3a6d3b1f0b8d9c0e6f7a5b4c3d2e1f00112233445566ff"
		built = "021b0z0z0z0z0z0z0z0z0z0z0"
	)
	layer, volume := []scan.Type{scan.TypeLayer}, []scan.Type{scan.TypeVolume}
	for _, c := range []struct {
		line  string
		types []scan.Type
		id    string
		want  bool
	}{
		{"layer:021b", layer, id, true},
		{"layer:0", layer, id, true},
		{"layer:021b", layer, id + "-init", true},
		{"layer:021b", layer, built, true},
		{"layer:021c", layer, id, false},
		{"volume:021b", layer, id, false},
		{"021b", layer, id, true},
		{"021", layer, id, false}, // more likely a name
		{"sha256:021b", layer, id, true},
		{"volume:shop", volume, "shop-data", false}, // the name of another one
		{"volume:shop", volume, "shop", true},
		{"write-set-262", layer, "write-set-2624871294", true},
	} {
		e, err := parse(c.line, "", now)
		assert.NilError(t, err, c.line)
		assert.Equal(t, e.Matches(c.types, c.id), c.want, "%s: %s", c.line, c.id)
	}
}

func TestRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keep.d")
	list, err := Read(dir, now)
	assert.NilError(t, err, "there need not be one")
	assert.Equal(t, len(list), 0)

	assert.NilError(t, os.Mkdir(dir, 0o755))
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		assert.NilError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), mode))
		assert.NilError(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	write("ci", "# of the build machines\n\nrunner-*\n", 0o644)
	write(".ci.swp", "[", 0o644)
	write("ci~", "[", 0o644)
	list, err = Read(dir, now)
	assert.NilError(t, err)
	assert.DeepEqual(t, list, []scan.KeepEntry{{Pattern: "runner-*", Where: filepath.Join(dir, "ci") + ":3"}})

	write("ci", "runner-*\nx y\nz", 0o644)
	list, err = Read(dir, now)
	assert.ErrorContains(t, err, filepath.Join(dir, "ci")+`:2: "y"`)
	assert.Equal(t, len(list), 2)

	if os.Geteuid() != 0 {
		t.Skip("who may write a list is asked for root only")
	}
	write("ci", "x", 0o666)
	_, err = Read(dir, now)
	assert.ErrorContains(t, err, "other users can write it")
	write("ci", "x", 0o644)
	assert.NilError(t, os.Chown(filepath.Join(dir, "ci"), 12, 12))
	_, err = Read(dir, now)
	assert.ErrorContains(t, err, "belongs to another user")
	assert.NilError(t, os.Remove(filepath.Join(dir, "ci")))
	assert.NilError(t, os.Chmod(dir, 0o777))
	_, err = Read(dir, now)
	assert.ErrorContains(t, err, "other users can write it")
	assert.NilError(t, os.Chmod(dir, 0o755))
	write("large", strings.Repeat("x", maxList+1), 0o644)
	_, err = Read(dir, now)
	assert.ErrorContains(t, err, "larger than")
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"layer:3f9c until=2027-01-31 # x", "[a-z]*,\\", "a:b:c"} {
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		list, _ := Parse(text, "x", now)
		for _, e := range list {
			e.Matches([]scan.Type{scan.TypeLayer}, text, text)
		}
	})
}
