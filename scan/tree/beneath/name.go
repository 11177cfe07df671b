package beneath

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrName is the error of a name that is empty, absolute, or has an element
// that is empty, "." or "..".
var ErrName = errors.New("not a name below the root")

// Check returns [ErrName] unless name leads from a directory to itself (".")
// or to something below it.
func Check(name string) error {
	if name == "." {
		return nil
	}
	for {
		element, rest, more := strings.Cut(name, "/")
		if element == "" || element == "." || element == ".." || strings.IndexByte(element, 0) >= 0 {
			return ErrName
		}
		if !more {
			return nil
		}
		name = rest
	}
}

// Shown is the name as an error or a terminal may show it: itself, or quoted
// as Go does if it has a byte that is not part of a printable character. Names
// in a layer are chosen by whoever made it, escape codes included.
func Shown(name string) string {
	if name == "" || !utf8.ValidString(name) {
		return strconv.Quote(name)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return strconv.Quote(name)
		}
	}
	return name
}
