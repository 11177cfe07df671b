package mount

import (
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

var (
	idA   = strings.Repeat("a1", 32)
	idB   = strings.Repeat("b2", 32)
	build = "k6n1q2w3e4r5t6y7u8i9o0pas"
	short = "ABCDEFGHIJKLMNOPQRSTUVWX27"
)

func node(k scan.Kind, name string) scan.Node { return scan.Node{Kind: k, Name: name} }

var nodes = []scan.Node{
	node(scan.KindLayer, "overlay2/"+idA),
	node(scan.KindLayer, "overlay2/"+idA+"-init"),
	node(scan.KindLayer, "overlay2/"+build),
	node(scan.KindLink, "overlay2/l/"+short),
	node(scan.KindMount, "image/overlay2/layerdb/mounts/"+idB),
	node(scan.KindMount, "image/overlay2/layerdb/mounts/"+idB+"-docker.io/library/busybox:latest"),
	node(scan.KindMount, "image/overlay2/layerdb/mounts/"+build),
	node(scan.KindContainer, "containers/"+idB),
	node(scan.KindRemoving, "image/overlay2/layerdb/sha256/"+idA+"-9f-removing"),
	node(scan.KindDownload, "tmp/GetImageBlob123"),
	node(scan.KindDownload, "image/overlay2/layerdb/tmp/write-set-77"),
	node(scan.KindChain, "image/overlay2/layerdb/sha256/"+idB),
	scan.VolumeNode("data"),
	node(scan.KindImage, "sha256:"+idA),
	node(scan.KindBuild, "snapshot/"+idA),
}

// found lists what was hit, in the order of nodes.
func found(search func(hit func(scan.Node))) []scan.Node {
	var hits []scan.Node
	search(func(n scan.Node) { hits = append(hits, n) })
	slices.SortFunc(hits, func(a, b scan.Node) int { return slices.Index(nodes, a) - slices.Index(nodes, b) })
	return slices.Compact(hits)
}

func TestNamed(t *testing.T) {
	x := NewIndex(nodes)
	pick := func(is ...int) (want []scan.Node) {
		for _, i := range is {
			want = append(want, nodes[i])
		}
		return want
	}
	for name, tc := range map[string]struct {
		text string
		want []scan.Node
	}{
		"merged":                {"/var/lib/docker/overlay2/" + idA + "/merged", pick(0)},
		"layer's own disk":      {"/" + idA + "/diff", pick(0)},
		"bare":                  {idA, pick(0)},
		"init":                  {"/x/" + idA + "-init/diff", pick(1)},
		"directory is gone":     {"/overlay2/" + idA + "//deleted", pick(0)},
		"file is gone":          {"/overlay2/" + idA + " (deleted)", pick(0)},
		"build":                 {"/overlay2/" + build + "/diff", pick(2, 6)},
		"link, absolute":        {"rw,lowerdir=/a/l/" + short + ":/b,upperdir=/x/" + idA + "/diff,workdir=/x", pick(0, 3)},
		"thin device":           {"/dev/mapper/docker-254:32-131100-" + idA, pick(0)},
		"thin device of init":   {"/dev/mapper/docker-254:32-131100-" + idA + "-init", pick(1)},
		"dataset":               {"tank/docker/" + idA + "-init", pick(1)},
		"link, relative":        {"rw,lowerdir=l/" + short, pick(3)},
		"link, only":            {"lowerdir=" + short, pick(3)},
		"link, last of many":    {"lowerdir=l/A:l/B:" + short + ",index=off", pick(3)},
		"escaped by the kernel": {`lowerdir=/a\040b/l/` + short + `\134:x`, pick(3)},
		"escaped by overlay":    {`lowerdir=/a\134:b/l/` + short + `:c`, pick(3)},
		"escaped comma":         {`upperdir=/a\054` + idA, pick(0)},
		"container":             {"/c/" + idB + "/hosts", pick(4, 5, 7)},
		"image mount":           {"/m/" + idB + "-docker.io/x", pick(5)},
		"a word of image mount": {"/library/busybox", nil},
		"removing":              {"/x/" + idA + "-9f-removing/cache-id", pick(8)},
		"download":              {"/tmp/GetImageBlob123", pick(9)},
		"write-set":             {"/x/layerdb/tmp/write-set-77/tar-split.json.gz", pick(10)},
		"command line":          {"containerd-shim\x00-id\x00" + idB + "\x00", pick(4, 5, 7)},
		"volume by name":        {"/srv/data", nil},
		"part of an id":         {"/x/" + idA[:63] + "/y" + idA, nil},
		"the data root itself":  {"/var/lib/docker", nil},
		"empty":                 {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			assert.DeepEqual(t, found(func(hit func(scan.Node)) { x.Named(tc.text, hit) }), tc.want)
		})
	}
}

func TestAt(t *testing.T) {
	x := NewIndex(nodes)
	chain, volume := nodes[11], nodes[12]
	for name, want := range map[string][]scan.Node{
		"volumes/data":         {volume},
		"volumes/data/_data/x": {volume},
		"volumes/data2":        nil,
		"volumes":              nil,
		"x/volumes/data":       nil,
		"image/overlay2/layerdb/sha256/" + idB + "/x": {chain},
		".": nil,
		"":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			assert.DeepEqual(t, found(func(hit func(scan.Node)) { x.At(name, hit) }), want)
		})
	}
}

// However an id is wrapped, it is found if separators stand around it.
func FuzzTokens(f *testing.F) {
	f.Add("/var/lib/docker/overlay2/", "/merged")
	f.Add(`rw,lowerdir=/a\040b/l/`, `:l/XYZ,upperdir=/u\134\054`)
	f.Add(`\`, `\999`)
	f.Add("a=b,", "//deleted")
	f.Fuzz(func(t *testing.T, before, after string) {
		var all []string
		for token := range tokens(before + "/" + idA + "," + after) {
			assert.Assert(t, token != "" && !strings.ContainsAny(token, "/:,= \x00\\"), "%q", token)
			all = append(all, token)
		}
		assert.Assert(t, slices.Contains(all, idA), "%q", all)
	})
}

func FuzzUnescape(f *testing.F) {
	f.Add("/plain")
	f.Add("/with space\tand\nback\\slash")
	f.Add(`\040`)
	f.Fuzz(func(t *testing.T, name string) {
		escaped := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`).Replace(name)
		assert.Equal(t, Unescape(escaped), name)
		assert.Assert(t, len(Unescape(name)) <= len(name))
	})
}
