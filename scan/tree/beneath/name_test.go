package beneath

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestCheck(t *testing.T) {
	for name, ok := range map[string]bool{
		".": true, "a": true, "a/b/c": true, "...": true, "..a": true, ".a": true, "a/..b": true, "\xff\n": true,
		strings.Repeat("n", 5000): true,
		"":                        false, "/": false, "/a": false, "a/": false, "a//b": false, "..": false, "../a": false, "a/..": false,
		"a/../b": false, "./a": false, "a/.": false, "a/./b": false, "a\x00b": false,
	} {
		if ok {
			assert.NilError(t, Check(name))
		} else {
			assert.ErrorIs(t, Check(name), ErrName)
		}
	}
}

func TestShown(t *testing.T) {
	for name, want := range map[string]string{
		"overlay2/abc": "overlay2/abc", "größe 漢字": "größe 漢字", `back\slash "quote"`: `back\slash "quote"`,
		"": `""`, "a\nb": `"a\nb"`, "\x1b[2J": `"\x1b[2J"`, "\xff": `"\xff"`, "right\u202eleft": `"right\u202eleft"`,
		"nbsp\u00a0": `"nbsp\u00a0"`,
	} {
		assert.Equal(t, Shown(name), want)
	}
}
