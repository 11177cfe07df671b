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

// About reports whether the entry names what an object is part of, by its id, one
// of these names, or that of the image that it was of.
func (e *KeepEntry) About(o *Object, names ...string) bool {
	return e.Matches(typesOf(o.Node), base(o.Name), append(names, o.imageNames()...)...)
}

// typesOf are the types of findings that an object may be part of.
func typesOf(n Node) []Type {
	if n.Kind == KindLayer || n.Kind == KindPart {
		return []Type{TypeLayer, TypeImageLayer, TypeRWLayer, TypeDownload}
	}
	if n.Kind == KindVolume {
		return []Type{TypeVolume, TypeOf(n)} // a builder's is a volume too
	}
	return []Type{TypeOf(n)}
}

// imageNames are the names of the image that an object was of, as far as that is
// known and people are told ("container 3f9c… of app:1"): with its tag and
// without, and as the docker CLI shows them.
func (o *Object) imageNames() []string {
	_, image, ok := strings.Cut(o.Note().Was, " of ")
	if !ok {
		image, ok = strings.CutPrefix(o.Note().Was, "image ")
	}
	if !ok || strings.Contains(image, " ") {
		return nil
	}
	names := []string{image}
	if at := strings.LastIndexByte(image, ':'); at > strings.LastIndexByte(image, '/') {
		names = append(names, image[:at])
	}
	for _, name := range names {
		if short, ok := strings.CutPrefix(name, "docker.io/"); ok {
			names = append(names, short, strings.TrimPrefix(short, "library/"))
		}
	}
	return names
}

// By says in words that the entry keeps something.
func (e *KeepEntry) By() string {
	if e.Reason == "" {
		return "kept by " + e.Where
	}
	return "kept by " + e.Where + ": " + Printable(e.Reason)
}

// How much of an id names it in a keep list: any beginning after a type. Without
// one less is more likely meant as a name, and of a name that is no id even more
// is needed.
const (
	minBareID = 4
	minOther  = 12
)

// Matches reports whether the entry is about a thing that may be of these
// types, by its id or one of its names. Too much is kept rather than too little.
func (e *KeepEntry) Matches(types []Type, id string, names ...string) bool {
	if e.Type != "" && !slices.Contains(types, e.Type) {
		return false
	}
	least := minOther
	switch {
	case random(id) && e.Type != "":
		least = 1
	case random(id):
		least = minBareID
	}
	if len(e.Pattern) >= least && strings.HasPrefix(id, e.Pattern) {
		return true
	}
	for _, name := range append(names, id) {
		if ok, err := path.Match(e.Pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}

// random reports whether a name is an id, or begins with one.
func random(name string) bool {
	before, _, _ := strings.Cut(name, "-")
	return IsID(before) || IsBuildID(name) || IsLinkName(name)
}
