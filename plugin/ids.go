package plugin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker-orphans/docker-orphans/scan"
)

// ambiguousShown is how many of the things that an id may mean an error
// lists.
const ambiguousShown = 5

// resolve finds the one finding that a user means: by its id, by the short
// id that tables show, or by the beginning of its id; with "TYPE:" before it
// only among findings of that type.
func resolve(findings []*scan.Finding, text string) (*scan.Finding, error) {
	id, candidates := text, findings
	if of, after, ok := cutType(text); ok {
		id, candidates = after, nil
		for _, f := range findings {
			if f.Type == of {
				candidates = append(candidates, f)
			}
		}
	}
	for _, match := range []func(*scan.Finding, string) bool{isID, isShortID, hasPrefix} {
		var found []*scan.Finding
		for _, f := range candidates {
			if match(f, id) {
				found = append(found, f)
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		return nil, ambiguous(text, found)
	}
	return nil, fmt.Errorf("no such object: %s", text)
}

// cutType cuts "TYPE:" from an id, if it has that. An id may have a colon of its
// own: the record of an image mount, of Docker 28, ends with the image's name.
func cutType(text string) (t scan.Type, id string, ok bool) {
	before, after, ok := strings.Cut(text, ":")
	if !ok || !slices.ContainsFunc(scan.Contracts, func(c scan.Contract) bool { return string(c.Type) == before }) {
		return "", text, false
	}
	return scan.Type(before), after, true
}

func isID(f *scan.Finding, id string) bool { return f.ID == strings.TrimPrefix(id, "sha256:") }

func isShortID(f *scan.Finding, id string) bool { return shortID(f) == id }

// shortLength is how much of a long id the docker CLI shows.
const shortLength = 12

// shortID is the id as tables show it. It also cuts the ids of BuildKit and
// the names of links, which are as random as the others.
func shortID(f *scan.Finding) string {
	if scan.IsBuildID(f.ID) || scan.IsLinkName(f.ID) {
		return f.ID[:shortLength]
	}
	return f.ShortID()
}

// hasPrefix reports whether the finding's id, whole or as shown, begins with
// the text.
func hasPrefix(f *scan.Finding, text string) bool {
	text = strings.TrimPrefix(text, "sha256:")
	return text != "" && (strings.HasPrefix(f.ID, text) || strings.HasPrefix(shortID(f), text))
}

func ambiguous(text string, found []*scan.Finding) error {
	var names []string
	for i, f := range found {
		if i == ambiguousShown {
			names = append(names, fmt.Sprintf("and %d more", len(found)-i))
			break
		}
		names = append(names, string(f.Type)+":"+f.ID)
	}
	return fmt.Errorf("ambiguous id %s: it may be %s", text, strings.Join(names, ", "))
}
