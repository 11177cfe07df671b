package catalog

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/archive"
	"github.com/docker-orphans/docker-orphans/scan/tree"
)

// id is 64 digits that begin with these.
func id(begins string) string { return begins + strings.Repeat("f", 64-len(begins)) }

var padding = regexp.MustCompile(`f{50,}`)

// write makes a data root of files.
func write(t *testing.T, files map[string]string) (scan.Tree, string) {
	t.Helper()
	root := t.TempDir()
	for name, data := range files {
		name = filepath.Join(root, name)
		assert.NilError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		assert.NilError(t, os.WriteFile(name, []byte(data), 0o600))
	}
	disk, err := tree.Open(root)
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, disk.Close()) })
	return disk, root
}

// twoDrivers is a data root that two drivers have left images in. A and B are
// in both, C and D in one.
func twoDrivers(t *testing.T) scan.Tree {
	t.Helper()
	tags := func(pairs ...string) string {
		repositories := map[string]map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			repository, _, _ := strings.Cut(pairs[i], "@")
			if repository == pairs[i] {
				repository = repository[:strings.LastIndex(repository, ":")]
			}
			if repositories[repository] == nil {
				repositories[repository] = map[string]string{}
			}
			repositories[repository][pairs[i]] = "sha256:" + id(pairs[i+1])
		}
		data, err := json.Marshal(map[string]any{"Repositories": repositories})
		assert.NilError(t, err)
		return string(data)
	}
	files := map[string]string{
		"image/aufs/repositories.json":                       tags("a:1", "aa", "b:1", "bb", "b:2", "b2", "c:1", "cc", "reg.io:5000/x/y:z", "aa"),
		"image/zfs/repositories.json":                        tags("a:1", "aa", "b:1", "b9", "d:latest", "dd", "d@sha256:"+id("d1"), "dd"),
		"containers/" + id("c0") + "/config.v2.json":         `{"Name":"/web"}`,
		"containers/" + id("c1") + "/config.v2.json":         `{"Name":"/twice"}`,
		"containers/" + id("c2") + "/config.v2.json":         `{"Name":"/twice"}`,
		"containers/" + id("c3") + "/config.v2.json":         `no JSON`,
		"image/aufs/imagedb/content/sha256/.tmp-" + id("ee"): "half written",
	}
	for _, i := range []string{"aa", "bb", "b2", "cc"} {
		files["image/aufs/imagedb/content/sha256/"+id(i)] = "{}"
	}
	for _, i := range []string{"aa", "b9", "dd"} {
		files["image/zfs/imagedb/content/sha256/"+id(i)] = "{}"
	}
	for _, c := range []string{"c0", "c1", "c2", "c3", "abc"} {
		files["image/aufs/layerdb/mounts/"+id(c)+"/mount-id"] = id(c)
	}
	files["image/aufs/layerdb/sha256/"+id("abd")+"/diff"] = ""
	files["image/aufs/layerdb/sha256/"+id("abe")+"-"+id("1")+"-removing/diff"] = ""
	disk, _ := write(t, files)
	return disk
}

func TestFind(t *testing.T) {
	for _, test := range []struct{ only, text, want string }{
		{"", "a:1", "image:aa of aufs and zfs [a:1]"},
		{"", "docker.io/library/a:1", "image:aa of aufs and zfs [a:1]"},
		{"zfs", "a:1", "image:aa of zfs [a:1]"},
		{"", "b:1", "ambiguous: b:1: it may be image:bb of aufs, image:b9 of zfs"},
		{"aufs", "b:1", "image:bb of aufs [b:1]"},
		{"aufs", "b", "image:bb of aufs [b:1]; image:b2 of aufs [b:2]"},
		{"", "b", "ambiguous: b:1: "},
		{"", "d", "image:dd of zfs [d:latest]"},
		{"", "d@sha256:" + id("d1"), "image:dd of zfs []"},
		{"", "d:gone@sha256:" + id("d1"), "image:dd of zfs []"},
		{"", "reg.io:5000/x/y:z", "image:aa of aufs [reg.io:5000/x/y:z]"},
		{"", "a:2", "no such image, registered layer or container: a:2"},
		{"", "A:2", "no such image, registered layer or container: A:2"},
		{"", "sha256:" + id("b2"), "image:b2 of aufs []"},
		{"", id("b2"), "image:b2 of aufs []"},
		{"", "b2", "image:b2 of aufs []"},
		{"", "aa", "image:aa of aufs and zfs []"},
		{"", "sha256:aa", "image:aa of aufs and zfs []"},
		{"", "ab", "ambiguous: ab: it may be image-layer:abd of aufs, rw-layer:abc of aufs"},
		{"", "rw-layer:ab", "rw-layer:abc of aufs []"},
		{"", "image-layer:ab", "image-layer:abd of aufs []"},
		{"", "image-layer:abe", "no such"}, // it is being removed
		{"", "image:ab", "no such"},
		{"", "image:a:1", "no such"},
		{"", "ee", "no such"},
		{"", "web", "rw-layer:c0 of aufs []"},
		{"", "rw-layer:web", "rw-layer:c0 of aufs []"},
		{"", "twice", "ambiguous: twice: it may be rw-layer:c1 of aufs, rw-layer:c2 of aufs"},
		{"", "", "no such"},
		{"", "sha256:", "no such"},
		{"", "rw-layer:", "no such"},
		{"", "\x1b[2J", `no such image, registered layer or container: \x1b[2J`},
		{"", "../../etc/passwd", "no such"},
	} {
		c, err := Read(twoDrivers(t), test.only)
		assert.NilError(t, err)
		found, err := c.Find(test.text)
		var says []string
		if err != nil {
			says = append(says, err.Error())
		}
		for _, t := range found {
			says = append(says, t.String()+" ["+strings.Join(t.Tags, " ")+"]")
		}
		got := padding.ReplaceAllString(strings.Join(says, "; "), "")
		assert.Assert(t, strings.HasPrefix(got, test.want), "%q: got %q, want %q", test.text, got, test.want)
	}
}

func TestNames(t *testing.T) {
	c, err := Read(twoDrivers(t), "")
	assert.NilError(t, err)
	assert.DeepEqual(t, c.Names(), []string{"a:1", "b:1", "b:2", "c:1", "d:latest", "reg.io:5000/x/y:z"})
}

// What is asked for twice, by whatever name, is one image with all its names.
func TestJoin(t *testing.T) {
	c, err := Read(twoDrivers(t), "aufs")
	assert.NilError(t, err)
	var lists [][]*Thing
	for _, text := range []string{"reg.io:5000/x/y:z", "a:1", "aa", "a:1", "c:1"} {
		found, err := c.Find(text)
		assert.NilError(t, err)
		lists = append(lists, found)
	}
	all := Join(lists...)
	assert.Equal(t, len(all), 2)
	assert.DeepEqual(t, all[0].Tags, []string{"a:1", "reg.io:5000/x/y:z"})
}

// Records that cannot be read are errors.
func TestReadDamaged(t *testing.T) {
	for says, files := range map[string]map[string]string{
		"repositories.json: invalid character": {"image/vfs/repositories.json": "no JSON"},
		"repositories.json: json: cannot":      {"image/vfs/repositories.json": `{"Repositories":[]}`},
		"not a directory":                      {"image/vfs/layerdb/sha256": ""},
		"no records of any":                    {"image/other/x": "", "vfs/x": ""},
		"before 1.10":                          {"graph/x": ""},
	} {
		disk, _ := write(t, files)
		_, err := Read(disk, "")
		assert.ErrorContains(t, err, says)
	}
	_, err := Read(twoDrivers(t), "vfs")
	assert.ErrorContains(t, err, "no records of the storage driver vfs")
	_, err = Read(twoDrivers(t), "../aufs")
	assert.ErrorContains(t, err, "no such storage driver")
}

// An image whose records contradict each other is an error; of two drivers the
// one is taken that has it.
func TestOpenDamaged(t *testing.T) {
	config := `{"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:` + id("1") + `"]}}`
	image := digest.FromString(config).Encoded()
	empty := `{"os":"linux","rootfs":{"type":"layers"}}`
	content := func(driver, config string) string {
		return "image/" + driver + "/imagedb/content/sha256/" + digest.FromString(config).Encoded()
	}
	layer := "image/vfs/layerdb/sha256/" + id("1")
	open := func(files map[string]string, thing *Thing) (*Opened, error) {
		disk, root := write(t, files)
		return (&Opener{Root: archive.Root{Tree: disk, Dir: root}}).Open(t.Context(), thing)
	}
	vfs := &Thing{Kind: Image, ID: "sha256:" + image, Backends: []string{"vfs"}}
	for says, files := range map[string]map[string]string{
		"missing: what is left":                   {"image/vfs/x": ""},
		"its digest is another than its name":     {content("vfs", config): config + " "},
		"layerdb/sha256/" + id("1") + "/diff: no": {content("vfs", config): config},
		"is no layer's id":                        {content("vfs", config): config, layer + "/diff": "sha256:" + id("1"), layer + "/cache-id": "../../etc"},
		"its id does not follow":                  {content("vfs", config): config, layer + "/diff": "sha256:" + id("2"), layer + "/cache-id": id("3")},
		"no such file":                            {content("vfs", config): config, layer + "/diff": "sha256:" + id("1"), layer + "/cache-id": id("3")},
	} {
		_, err := open(files, vfs)
		assert.ErrorContains(t, err, says)
	}
	bad := "no JSON"
	_, err := open(map[string]string{content("vfs", bad): bad}, &Thing{Kind: Image, ID: digest.FromString(bad).String(), Backends: []string{"vfs"}})
	assert.ErrorContains(t, err, "invalid character")

	// An image without layers needs none.
	o, err := open(map[string]string{content("zfs", empty): empty}, &Thing{Kind: Image, ID: digest.FromString(empty).String(), Backends: []string{"vfs", "zfs"}})
	assert.NilError(t, err)
	o.Close()
	assert.Equal(t, string(o.Config), empty)

	record := "image/vfs/layerdb/mounts/" + id("c")
	mount := &Thing{Kind: Mount, ID: id("c"), Backends: []string{"vfs"}}
	for says, files := range map[string]map[string]string{
		"mount-id: no such file":       {record + "/x": ""},
		"mount-id: \"..\" is no":       {record + "/mount-id": ".."},
		"parent: \"x\" is not a layer": {record + "/mount-id": id("d"), record + "/parent": "x"},
		"vfs/dir/" + id("d") + ": no":  {record + "/mount-id": id("d")},
	} {
		_, err := open(files, mount)
		assert.ErrorContains(t, err, says)
	}
}
