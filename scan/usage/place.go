package usage

import (
	"slices"
	"strings"
)

// A place is a directory below the name that is walked. Only the way up is
// kept: it becomes a path when there is something to say about it.
type place struct {
	parent *place // nil: the walked name itself
	name   string
}

// longest is how many bytes of a path are worth showing.
const longest = 4096

// path is the path of an entry of the place, below the walked name. Of one that
// is longer than anyone reads the middle is left out.
func (p *place) path(top, entry string) string {
	elements, size := []string{entry}, len(entry)
	for ; p != nil && p.parent != nil; p = p.parent {
		if size += 1 + len(p.name); size > longest {
			elements = append(elements, "…")
			break
		}
		elements = append(elements, p.name)
	}
	elements = append(elements, top)
	slices.Reverse(elements)
	return strings.Join(elements, "/")
}
