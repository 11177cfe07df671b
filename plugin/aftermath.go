package plugin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// An aftermath is what came of a run, for a person and for a machine.
type aftermath struct {
	plan     *prune.Plan
	result   *prune.Result // nil: there was nothing to do, or it could not begin
	purged   sum           // expired quarantine that was freed
	measured int64         // bytes that the file system has more than before
	until    time.Time     // when the quarantine of this run ends

	held      sum            // all that is in quarantine now
	pinned    sum            // what the daemon counts until it restarts
	open      sum            // files that were deleted and that a process has open
	byRequest sum            // orphans that only a person can judge
	unadded   bool           // the size of one of those was not added up: a run looks into what it takes
	waits     map[string]int // those of them that nobody can remove now, by what they wait for
	unsure    int            // what could not be judged

	command string // how to call docker orphans on this data root
}

// aftermath begins one with what the look tells.
func (r *removal) aftermath(pinned []*scan.Finding) *aftermath {
	a := &aftermath{plan: &r.plan, until: time.Now().Add(r.policy.Keep), command: commandOn(r.seen.in), waits: map[string]int{}}
	for _, f := range pinned {
		a.pinned.add(f.Size().Bytes)
	}
	for _, f := range r.seen.graph.Host.Removed {
		a.open.add(f.Bytes)
	}
	taken := among(r.taken)
	for _, f := range r.seen.findings {
		switch {
		case f.Verdict == scan.Unsure:
			a.unsure++
		case f.Verdict == scan.Orphan && !f.Default && !taken(f):
			size := f.Size()
			a.byRequest.add(size.Bytes)
			a.unadded = a.unadded || !size.Complete
			if why := f.Stays(&r.seen.graph.Host); why != "" {
				a.waits[why]++
			}
		}
	}
	return a
}

// commandOn is how to call docker orphans on this data root once more.
func commandOn(in *scan.Input) string {
	if in.Daemon == nil {
		return "docker orphans --data-root " + scan.Printable(in.DataRoot)
	}
	return "docker orphans"
}

// ended adds up what of the plan ended in one way, by type.
func (a *aftermath) ended(end journal.End) breakdown {
	b := breakdown{}
	if a.result == nil {
		return b
	}
	for _, o := range a.result.Outcomes {
		if o.End == end {
			b.add(a.result.Plan.Step(o.Step).Type, o.Bytes)
		}
	}
	return b
}

// reclaimed is what was freed, by count.
func (a *aftermath) reclaimed() int64 { return a.purged.bytes + a.ended(journal.Freed).all().bytes }

// skipped says, a line each, what did not go and why.
func (a *aftermath) skipped() []string {
	if a.result == nil {
		return nil
	}
	words := map[journal.End]string{
		journal.Skipped: "Skipped", journal.PutBack: "Put back", journal.KeptByOwner: "Kept by the daemon", journal.Left: "Not finished",
		journal.Pending: "Left to the daemon",
	}
	var lines []string
	for _, o := range a.result.Outcomes {
		if !o.Gone() {
			lines = append(lines, words[o.End]+": "+stepName(a.result.Plan.Step(o.Step))+": "+scan.Printable(o.Reason))
		}
	}
	if a.result.Stopped != "" {
		lines = append(lines, "Stopped early: "+scan.Printable(a.result.Stopped))
	}
	return lines
}

// worthAWord is how much must have been freed before it is said that the file
// system has gained less than half of it: others write to the disk, too.
const worthAWord = 64 << 20

// text is what a person reads last.
func (a *aftermath) text() string {
	var b strings.Builder
	reclaimed := a.reclaimed()
	fmt.Fprintf(&b, "Total reclaimed space: %s\n", units.HumanSize(float64(reclaimed)))
	if reclaimed > worthAWord && a.measured < reclaimed/2 {
		fmt.Fprintf(&b, "The file system has %s more than before: the rest is still open in a process, shared with other files, not yet given back, or was written by others meanwhile.\n",
			units.HumanSize(float64(max(a.measured, 0))))
	}
	if aside := a.ended(journal.Quarantined); len(aside) > 0 {
		fmt.Fprintf(&b, "In quarantine until %s: %s\n", stamp(a.until), strings.Join(aside.lines(), "; "))
		fmt.Fprintf(&b, "  to bring it back:  %s restore %s\n", a.command, a.result.Run)
		fmt.Fprintf(&b, "  to free it now:    %s purge %s\n", a.command, a.result.Run)
	}
	if rest := a.rest(); len(rest) > 0 {
		fmt.Fprintf(&b, "Not freed:\n  - %s\n", strings.Join(rest, "\n  - "))
	}
	return b.String()
}

// rest says why the disk may still be full, and what frees it.
func (a *aftermath) rest() []string {
	var rest []string
	if a.held.count > 0 {
		rest = append(rest, a.held.things()+" in quarantine ("+a.command+" purge --all)")
	}
	pinned := a.pinned
	if kept, ok := a.ended(journal.KeptByOwner)[scan.TypeImageLayer]; ok {
		pinned.count, pinned.bytes = pinned.count+kept.count, pinned.bytes+kept.bytes
	}
	if pinned.count > 0 {
		rest = append(rest, fmt.Sprintf("%s more after the daemon's next restart", units.HumanSize(float64(pinned.bytes))))
	}
	if a.open.count > 0 {
		rest = append(rest, a.open.of(noun{"deleted file", "deleted files", ""})+" that a process still has open ("+a.command+" df)")
	}
	named := a.byRequest
	for _, why := range slices.Sorted(maps.Keys(a.waits)) {
		named.count -= a.waits[why]
		n := "1 orphan that waits"
		if a.waits[why] > 1 {
			n = fmt.Sprintf("%d orphans that wait", a.waits[why])
		}
		rest = append(rest, n+": "+scan.Printable(why))
	}
	if named.count > 0 {
		what := named.of(noun{"orphan", "orphans", ""})
		if a.unadded || len(a.waits) > 0 {
			what, _, _ = strings.Cut(what, ",")
		}
		rest = append(rest, what+" that only you can judge ("+a.command+" ls; rm ID)")
	}
	if a.unsure > 0 {
		rest = append(rest, fmt.Sprintf("%d that could not be judged (%s ls --filter verdict=unsure)", a.unsure, a.command))
	}
	return rest
}
