package plugin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// doubtsShown is how many doubts ls explains.
const doubtsShown = 10

// doubtLines explains, one line each, what keeps findings from being judged,
// and what was not read at all.
func doubtLines(unsure []*scan.Finding, unread []scan.Doubt) []string {
	var lines []string
	seen := map[string]int{}
	add := func(d scan.Doubt) {
		line := "unsure: " + scan.Printable(d.String()) + " (covers " + covers(d.Scope) + ")"
		if seen[line]++; seen[line] > 1 {
			return
		}
		if d.Hint != "" {
			line += "\n  hint: " + scan.Printable(d.Hint)
		}
		lines = append(lines, line)
	}
	for _, d := range unread {
		add(d)
	}
	for _, f := range unsure {
		for _, d := range f.Doubts {
			add(d)
		}
	}
	if n := len(lines) - doubtsShown; n > 1 {
		lines = append(lines[:doubtsShown], fmt.Sprintf("unsure: and %d more reasons: see them with --filter verdict=unsure", n))
	}
	return lines
}

// unread lists the doubts that a person must hear of even if no finding is
// unsure: those over everything, such as a second daemon on the data root, and
// those of backends whose objects could not all be listed, as what is not
// listed has no finding.
func unread(g *scan.Graph) []scan.Doubt {
	var doubts []scan.Doubt
	for _, d := range g.Doubts {
		unlisted := func(r scan.Report) bool {
			return r.Source == d.Source && !r.Complete && strings.HasPrefix(string(r.Source), "backend ")
		}
		if d.Scope.All() || slices.ContainsFunc(g.Reports, unlisted) {
			doubts = append(doubts, d)
		}
	}
	return doubts
}

// covers says in words what a doubt keeps from being judged.
func covers(s scan.Scope) string {
	var parts []string
	switch {
	case s.BuildID:
		parts = append(parts, "25-character ids")
	case len(s.Nodes) == 1:
		parts = append(parts, "1 object")
	case len(s.Nodes) > 1:
		parts = append(parts, fmt.Sprintf("%d objects", len(s.Nodes)))
	}
	for _, t := range s.Types {
		parts = append(parts, string(t))
	}
	if s.Backend != "" {
		parts = append(parts, "backend "+s.Backend)
	}
	if !s.Since.IsZero() {
		parts = append(parts, "made since "+s.Since.UTC().Format(time.RFC3339))
	}
	if len(parts) == 0 {
		parts = []string{"everything"}
	}
	return strings.Join(parts, ", ")
}
