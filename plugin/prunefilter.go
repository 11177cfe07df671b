package plugin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config/configfile"

	"github.com/docker-orphans/docker-orphans/scan"
)

// pruneFilter is what prune is told to take: the filters of the command line,
// and those that config.json has for all prune commands (pruneFilters). Both
// must match, so that a line in that file can only protect.
type pruneFilter struct {
	own    filter
	config filter
}

// newPruneFilter reads the config file's filters. The command line wins: one
// that says the opposite of a label on it is left out, as in the docker CLI,
// and so is any other key that it has too.
func newPruneFilter(own filter, config *configfile.ConfigFile) (*pruneFilter, error) {
	p := &pruneFilter{own: own}
	for _, text := range config.PruneFilters {
		key, value, ok := strings.Cut(text, "=")
		if !ok || overridden(&own, key, value) {
			continue // the docker CLI takes no notice of one without a value
		}
		if err := p.config.Set(text); err != nil {
			return nil, fmt.Errorf("%s: pruneFilters: %w", config.GetFilename(), err)
		}
	}
	return p, nil
}

func overridden(own *filter, key, value string) bool {
	given := func(match func(key, value string) bool) bool {
		return slices.ContainsFunc(own.given, func(text string) bool {
			k, v, _ := strings.Cut(text, "=")
			return match(strings.ToLower(strings.TrimSpace(k)), strings.TrimSpace(v))
		})
	}
	switch key {
	case "label":
		return given(func(k, v string) bool { return k == "label!" && v == value })
	case "label!":
		return given(func(k, v string) bool { return k == "label" && v == value })
	}
	return given(func(k, _ string) bool { return k == key })
}

// matchName reports whether a finding matches all that needs no walk.
func (p *pruneFilter) matchName(f *scan.Finding, host *scan.Host) bool {
	return p.own.matchName(f, host) && p.config.matchName(f, host) && p.own.matchVerdict(f) && p.config.matchVerdict(f)
}

// matchDeep reports whether a finding that was walked matches the rest.
func (p *pruneFilter) matchDeep(f *scan.Finding) bool {
	return p.own.matchDeep(f) && p.config.matchDeep(f)
}

// lines lists the filters for a person. Of a label it says how many things
// carry it: a name that was mistyped shows as 0.
func (p *pruneFilter) lines(findings []*scan.Finding) []string {
	var lines []string
	for i, f := range []*filter{&p.own, &p.config} {
		for _, text := range f.given {
			line := scan.Printable(text)
			if key, value, _ := strings.Cut(text, "="); strings.HasPrefix(key, "label") {
				line += fmt.Sprintf(" (%d carry that label)", carriers(findings, value))
			}
			if i == 1 {
				line += " (from config.json)"
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// carriers counts the findings that are known to have a label.
func carriers(findings []*scan.Finding, text string) int {
	key, value, hasValue := strings.Cut(text, "=")
	l := label{key, value, hasValue}
	n := 0
	for _, f := range findings {
		if l.in(&f.Labels) {
			n++
		}
	}
	return n
}
