package plugin

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

func TestResolve(t *testing.T) {
	one, init := id64("1"), id64("1")+"-init"
	findings := []*scan.Finding{
		{Type: scan.TypeLayer, ID: one},
		{Type: scan.TypeLayer, ID: init},
		{Type: scan.TypeLayer, ID: "12" + one[2:]},
		{Type: scan.TypeContainer, ID: id64("c")},
		{Type: scan.TypeRWLayer, ID: id64("c")},
		{Type: scan.TypeDownload, ID: "GetImageBlob123"},
		{Type: scan.TypeLink, ID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		{Type: scan.TypeLayer, ID: "0123456789abcdefghijklmno"},
		{Type: scan.TypeRWLayer, ID: id64("e") + "-reg/io/zoo:1"}, // an image mount of Docker 28
	}
	for text, want := range map[string]int{
		one:                          0,
		"sha256:" + one:              0,
		one[:12]:                     0, // as ls shows it, though the -init begins alike
		init:                         1,
		one[:12] + "-init":           1,
		"12":                         2,
		"layer:12":                   2,
		"container:cc":               3,
		"rw-layer:" + id64("c"):      4,
		"Get":                        5,
		"ABCDEFGHIJKL":               6,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ": 6,
		"0123456789ab":               7,
		"GetImageBlob123":            5,
		id64("e") + "-reg/io/zoo:1":  8,
		"rw-layer:" + id64("e") + "-reg/io/zoo:1": 8,
	} {
		f, err := resolve(findings, text)
		assert.NilError(t, err, text)
		assert.Equal(t, f, findings[want], text)
	}
	for text, want := range map[string]string{
		"1":           "ambiguous id 1: it may be layer:" + one + ", layer:" + init + ", layer:12",
		"cc":          "ambiguous id cc: it may be container:" + id64("c") + ", rw-layer:" + id64("c"),
		"f":           "no such object: f",
		"layer:cc":    "no such object: layer:cc",
		"bogus:1":     "no such object: bogus:1",
		"":            "no such object: ",
		"layer:":      "no such object: layer:",
		"image:1\x1b": "no such object",
	} {
		_, err := resolve(findings, text)
		assert.ErrorContains(t, err, want)
	}
}

func TestShortID(t *testing.T) {
	for id, want := range map[string]string{
		id64("1"):                    "111111111111",
		id64("1") + "-init":          "111111111111-init",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ": "ABCDEFGHIJKL",
		"0123456789abcdefghijklmno":  "0123456789ab",
		"docker-import-42":           "docker-import-42",
	} {
		assert.Equal(t, shortID(&scan.Finding{ID: id}), want)
	}
}

func TestResolveListsSomeOfMany(t *testing.T) {
	var findings []*scan.Finding
	for _, digit := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		findings = append(findings, &scan.Finding{Type: scan.TypeLayer, ID: "a" + digit})
	}
	_, err := resolve(findings, "a")
	assert.ErrorContains(t, err, "layer:a5, and 2 more")
}
