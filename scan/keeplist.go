package scan

import (
	"path"
	"slices"
	"strings"
)

// A KeepEntry is a user's word that something stays: see package keep.
type KeepEntry struct {
	Type    Type   // "" for things of every type
	Pattern string // as path.Match has it, or an id or its beginning
	Reason  string // why, as the user put it; may be ""
	Where   string // the list's file and line, or the setting
}

// minKeepID is how much of an id names it in a keep list: as much as tables show.
const minKeepID = 12

// Matches reports whether the entry is about a thing that may be of these
// types, by its id or one of its names.
func (e *KeepEntry) Matches(types []Type, id string, names ...string) bool {
	if e.Type != "" && !slices.Contains(types, e.Type) {
		return false
	}
	if len(e.Pattern) >= minKeepID && strings.HasPrefix(id, e.Pattern) {
		return true
	}
	for _, name := range append(names, id) {
		if ok, err := path.Match(e.Pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}
