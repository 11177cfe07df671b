package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	timetypes "github.com/docker/docker/api/types/time"
	"github.com/docker/go-units"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A filterKey is one key of --filter.
type filterKey struct {
	name string
	doc  string
	add  func(f *filter, value string) error
}

// filterKeys lists the keys, for the flag, its help and its completion.
var filterKeys = []filterKey{
	{"type", "one of the types", func(f *filter, v string) error { return addListed(&f.types, "type", v) }},
	{"backend", "one of the storage drivers", func(f *filter, v string) error { return addListed(&f.backends, "backend", v) }},
	{"verdict", "one of the verdicts; without it, and without --all, only orphans", func(f *filter, v string) error { return addListed(&f.verdicts, "verdict", v) }},
	{"id", "the beginning of an id", (*filter).addID},
	{"until", "last changed before: a duration (24h, 7d), a date, an RFC 3339 or Unix time; once", (*filter).addUntil},
	{"min-size", "at least as large: 100MB, 1.5GB", (*filter).addMinSize},
	{"label", "has this label, and all others that are given: KEY or KEY=VALUE", func(f *filter, v string) error { return addLabel(&f.labels, v) }},
	{"label!", "has neither this label nor another that is given so (the docker CLI's own prune leaves\n             out only what has all of them); see inspect for what matches where labels are not known", func(f *filter, v string) error { return addLabel(&f.notLabels, v) }},
}

// A filter is the value of --filter, given any number of times. Values of one
// key are alternatives and different keys must all match; of label all values
// must, as in the docker CLI. Of label!, too: there the docker CLI takes what has
// one of the labels and not the other, which may be what somebody protects.
type filter struct {
	types     []string
	backends  []string
	verdicts  []string
	ids       []string
	until     []time.Time
	minSize   []int64
	labels    []label
	notLabels []label
	given     []string
}

// A label is one that a filter names, with any value or with this one.
type label struct {
	key      string
	value    string
	hasValue bool
}

func (f *filter) String() string { return strings.Join(f.given, ",") }

// Type is the word that help shows for the flag's value.
func (*filter) Type() string { return "filter" }

// Set adds one KEY=VALUE.
func (f *filter) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	name = strings.ToLower(strings.TrimSpace(name))
	if !ok {
		return errors.New("bad format of filter (expected name=value)")
	}
	for _, key := range filterKeys {
		if key.name == name {
			f.given = append(f.given, text)
			return key.add(f, strings.TrimSpace(value))
		}
	}
	return fmt.Errorf("invalid filter '%s' (valid: %s)", name, strings.Join(filterNames(), ", "))
}

func filterNames() []string {
	var names []string
	for _, key := range filterKeys {
		names = append(names, key.name)
	}
	return names
}

// addListed adds a value of a key that takes one of a list.
func addListed(to *[]string, key, value string) error {
	valid := valuesOf(key)
	if !slices.Contains(valid, value) {
		return fmt.Errorf("invalid filter '%s=%s' (valid: %s)", key, value, strings.Join(valid, ", "))
	}
	*to = append(*to, value)
	return nil
}

func addLabel(to *[]label, text string) error {
	key, value, hasValue := strings.Cut(text, "=")
	if key == "" {
		return fmt.Errorf("invalid filter 'label=%s': the label has no name", text)
	}
	*to = append(*to, label{key, value, hasValue})
	return nil
}

func (f *filter) addID(text string) error {
	if strings.TrimPrefix(text, "sha256:") == "" {
		return fmt.Errorf("invalid filter 'id=%s': the id is missing", text)
	}
	f.ids = append(f.ids, text)
	return nil
}

func (f *filter) addUntil(text string) error {
	if len(f.until) > 0 {
		return fmt.Errorf("invalid filter 'until=%s': more than one until filter specified", text)
	}
	now := time.Now()
	if d, err := parseDuration(text); err == nil {
		f.until = append(f.until, now.Add(-d))
		return nil
	}
	stamp, err := timetypes.GetTimestamp(text, now)
	if err != nil {
		return fmt.Errorf("invalid filter 'until=%s' (examples: 24h, 7d, 2006-01-02, 2006-01-02T15:04:05Z, 1136214245)", text)
	}
	seconds, nanoseconds, err := timetypes.ParseTimestamps(stamp, 0)
	if err != nil {
		return fmt.Errorf("invalid filter 'until=%s': %w", text, err)
	}
	f.until = append(f.until, time.Unix(seconds, nanoseconds))
	return nil
}

func (f *filter) addMinSize(text string) error {
	bytes, err := units.FromHumanSize(text)
	if err != nil || bytes < 0 {
		return fmt.Errorf("invalid filter 'min-size=%s' (examples: 100MB, 1.5GB)", text)
	}
	f.minSize = append(f.minSize, bytes)
	return nil
}

// deep reports whether the filter asks for what only a walk tells.
func (f *filter) deep() bool { return len(f.until) > 0 || len(f.minSize) > 0 }

// matchName reports whether a finding matches all keys that need no walk,
// verdict apart.
func (f *filter) matchName(found *scan.Finding, host *scan.Host) bool {
	return anyOf(f.types, func(t string) bool { return t == string(found.Type) }) &&
		anyOf(f.backends, func(b string) bool { return b == found.Backend }) &&
		anyOf(f.ids, func(id string) bool { return hasPrefix(found, id) }) &&
		!slices.ContainsFunc(f.labels, func(l label) bool { return !l.in(&found.Labels) }) &&
		!slices.ContainsFunc(f.notLabels, func(l label) bool { return !l.missingFrom(found, host) })
}

// matchVerdict reports whether the verdict is one that was asked for.
func (f *filter) matchVerdict(found *scan.Finding) bool {
	return anyOf(f.verdicts, func(v string) bool { return v == found.Verdict.String() })
}

// matchDeep reports whether a finding that was walked matches the keys that
// ask for it. What could not be read to the end may have changed at any time.
func (f *filter) matchDeep(found *scan.Finding) bool {
	size := found.Size()
	return anyOf(f.until, func(t time.Time) bool { return size.Complete && found.Changed().Before(t) }) &&
		anyOf(f.minSize, func(n int64) bool { return size.Bytes >= n })
}

// anyOf is true if any value matches, or if there is none to match.
func anyOf[T any](values []T, match func(T) bool) bool {
	return len(values) == 0 || slices.ContainsFunc(values, match)
}

func (l label) in(labels *scan.Labels) bool {
	if !l.hasValue {
		return labels.Have(l.key, nil)
	}
	return labels.Have(l.key, &l.value)
}

// missingFrom reports whether a finding is known not to have the label, or
// is of a type for which not knowing is as good.
func (l label) missingFrom(f *scan.Finding, host *scan.Host) bool {
	switch {
	case l.in(&f.Labels):
		return false
	case f.Labels.Known:
		return true
	}
	switch scan.ContractOf(f.Type).Unknown {
	case scan.UnknownMatches:
		return true
	case scan.UnknownMatchesWithOrigin:
		return f.Origin != "" || len(host.LostTags) == 0
	case scan.UnknownUnlessInit:
		return !f.MayBeContainers()
	case scan.UnknownNeverMatches:
		return false
	}
	return false
}
