package plugin

import (
	"errors"
	"fmt"
	"io"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
)

// staysFor says why something stays in quarantine when its time has come: a
// keep list names it, or the filters of prune do not match what it was when it
// went there. It is "" for what goes.
func staysFor(h prune.Held, list []scan.KeepEntry, filter *pruneFilter, host *scan.Host) string {
	if why := h.KeptBy(list); why != "" {
		return why
	}
	if f := wasFinding(h); !filter.matchName(f, host) || !filter.matchDeep(f) {
		return "not what the filters match"
	}
	return ""
}

// wasFinding is what lies in quarantine as it was found.
func wasFinding(h prune.Held) *scan.Finding {
	s, notes := h.Step, h.Step.Objects[0].Note()
	f := &scan.Finding{
		ID: s.Finding, Type: s.Type, Backend: s.Backend, Verdict: scan.Orphan, Parts: s.Objects, Was: s.Was, Labels: notes.Labels,
		Origin: notes.Origin,
	}
	if scan.ContractOf(s.Type).Unknown == scan.UnknownMatches {
		f.Labels.Known = true // such things have no labels
	}
	return f
}

// tellStays says what stays in quarantine, a line each reason.
func tellStays(w io.Writer, stays []prune.Stay) {
	sums, one := map[string]*sum{}, map[string]*prune.Step{}
	var reasons []string
	for _, s := range stays {
		if sums[s.Why] == nil {
			sums[s.Why], one[s.Why] = &sum{}, s.Step
			reasons = append(reasons, s.Why)
		}
		sums[s.Why].add(prune.Bytes(s.Step))
	}
	for _, why := range reasons {
		what := sums[why].things()
		if sums[why].count == 1 {
			what = stepName(one[why])
		}
		_, _ = fmt.Fprintf(w, "Left in quarantine: %s: %s\n", what, why)
	}
}

// staysError is that of what was named and stays.
func staysError(stays []prune.Stay) error {
	var problems []error
	for _, s := range stays {
		problems = append(problems, stayError{fmt.Errorf("%s is not freed: %s", stepName(s.Step), s.Why)})
	}
	return errors.Join(problems...)
}

// A stayError is that of something in quarantine that a keep list keeps.
type stayError struct{ error }

// Hint says what a person can do.
func (stayError) Hint() string {
	return "restore it, or take it out of the keep list"
}
