//go:build linux

package engine

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"gotest.tools/v3/assert"
)

func TestChainID(t *testing.T) {
	const a, b = "sha256:aa", "sha256:bb"
	assert.Equal(t, ChainID(a), a)
	// echo -n "sha256:aa sha256:bb" | sha256sum
	assert.Equal(t, ChainID(a, b), "sha256:b68ad689d6d1ec110ea1c13617437ad6f3766d4b3b309f6a603a222e07a0164f")
}

func TestIsOurs(t *testing.T) {
	for _, test := range []struct {
		args []string
		want bool
	}{
		{[]string{"/usr/sbin/dockerd", "--data-root", "/var/tmp/do1/root"}, true},
		{[]string{"containerd", "--config", "/var/tmp/do1/exec/containerd/containerd.toml"}, true},
		{[]string{"/usr/bin/containerd-shim-runc-v2", "-address", "/var/tmp/do1/exec/containerd/containerd.sock"}, true},
		{[]string{"/usr/sbin/dockerd", "--data-root", "/var/tmp/do12/root"}, false},
		{[]string{"/usr/sbin/dockerd"}, false},
		{[]string{"docker", "--config", "/var/tmp/do1/config"}, false},
		{[]string{"sh", "-c", "dockerd", "/var/tmp/do1/root"}, false},
	} {
		assert.Check(t, process{args: test.args}.isOurs("/var/tmp/do1") == test.want, "%v", test.args)
	}
}

func TestOwner(t *testing.T) {
	live := Live{"overlay2/a": "image x", "containers/c": "container c"}
	for name, want := range map[string]string{
		"overlay2/a":      "image x",
		"overlay2/a/diff": "image x",     // below it
		"containers":      "container c", // above it
		"overlay2/ab":     "",
		"overlay2/b":      "",
	} {
		who, ok := live.Owner(name)
		assert.Check(t, who == want && ok == (want != ""), "%s: %q", name, who)
	}
}

func TestDigestTar(t *testing.T) {
	digest := func(files ...File) string {
		sum, err := digestTar(io.NopCloser(bytes.NewReader(Tar(files...))))
		assert.NilError(t, err)
		return sum
	}
	files := []File{{Name: "d/"}, {Name: "d/f", Data: "1"}, {Name: "l", Link: "d/f"}}
	want := digest(files...)
	slices.Reverse(files)
	assert.Equal(t, digest(files...), want, "the order of entries must not count")
	for _, other := range [][]File{
		files[1:],
		{{Name: "d/"}, {Name: "d/f", Data: "2"}, {Name: "l", Link: "d/f"}},
		{{Name: "d/"}, {Name: "d/f", Data: "1"}, {Name: "l", Link: "d/g"}},
		{{Name: "d/"}, {Name: "d/f", Data: "1"}, {Name: "m", Link: "d/f"}},
	} {
		assert.Check(t, digest(other...) != want, "%v", other)
	}
	_, err := digestTar(io.NopCloser(bytes.NewReader(Tar(files...)[:700])))
	assert.ErrorContains(t, err, "EOF")
}

func TestDiffer(t *testing.T) {
	before := map[string]string{"a": "1", "b": "1", "c": "1"}
	assert.DeepEqual(t, differ("image", before, before), []string(nil))
	assert.DeepEqual(t, differ("image", before, map[string]string{"b": "1", "c": "2", "d": "1"}), []string{
		"image a is gone: 1",
		"image c\n\twas 1\n\tis  2",
		"image d has come: 1",
	})
}

func TestFindings(t *testing.T) {
	d := &Daemon{Root: "/r"}
	got, err := d.ReadFindings([]byte(`{"ID":"x","Paths":["/r/overlay2/x"],"Path":"/r/overlay2/x"}` + "\n"))
	assert.NilError(t, err)
	assert.DeepEqual(t, got, []Finding{{ID: "x", Path: "overlay2/x", Paths: []string{"overlay2/x"}}})
	_, err = d.ReadFindings([]byte(`{"Surprise":1}`))
	assert.ErrorContains(t, err, "Surprise")
}
