package plugin

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"unicode"
	"unicode/utf16"
)

// safeJSON escapes what JSON allows in a string but a terminal may act on:
// C1 control characters, direction marks and the like. The value stays the
// same.
func safeJSON(text []byte, err error) ([]byte, error) {
	if err != nil || bytes.IndexFunc(text, hostile) < 0 {
		return text, err
	}
	var out bytes.Buffer
	for _, r := range string(text) {
		switch {
		case !hostile(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes(), nil
}

// hostile reports whether a character is better not sent to a terminal. JSON
// has escaped those below a space already; what is left is layout.
func hostile(r rune) bool { return r > '~' && !unicode.IsPrint(r) }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
