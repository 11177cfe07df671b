package scan

import (
	"fmt"
	"strings"
	"time"
)

// A Policy is what a user decides about judging.
type Policy struct {
	// Now is the moment of judging.
	Now time.Time
	// Grace is how long a thing must be unchanged where it cannot be shown
	// to be older than the daemon.
	Grace time.Duration
	// OmitUsed leaves out findings that are used: on most hosts almost all
	// of them, and who looks for orphans need not hold them in memory.
	OmitUsed bool
	// AllVolumes says that prune takes unused volumes that somebody named, too.
	AllVolumes bool
	// IncludePrecious says that prune takes what holds data that nobody can make
	// again, too.
	IncludePrecious bool
	// Walk are things, by their first part, that are walked though nothing
	// goes by itself that is of their type: the user named them.
	Walk map[Node]bool
	// Without are broken images and damaged records that the user sets aside: it
	// is judged as if they were not there, with what is in doubt because of them.
	Without map[Node]bool
}

// The limits of the grace.
const (
	DefaultGrace = 24 * time.Hour
	MinGrace     = time.Hour
)

// writeSetMargin is how long before its write-set a layer's directory may
// have been made: engines before 29.1.3 make the directory first.
const writeSetMargin = 10 * time.Minute

// An age is what time says about one object (rule 4).
type age struct {
	verdict  Verdict // Orphan: old enough; Young: not, or not known; Held: a layer is being written
	text     string
	unwalked bool // the newest change below decides, and is not known yet
}

// ageOf applies an age rule to an object.
func (p Policy) ageOf(h *Host, rule AgeRule, o *Object) age {
	made := o.Made()
	switch {
	case o.untold():
		return age{verdict: Young, text: "when it was made is not known"}
	case made.After(p.Now) || o.Stamp.Change.After(p.Now):
		return age{verdict: Young, text: "its time lies in the future"}
	case !h.OldestWriteSet.IsZero() && !made.Before(h.OldestWriteSet.Add(-writeSetMargin)):
		text := "a layer is being written since " + clock(h.OldestWriteSet)
		if h.OldestWriteSet.Equal(Unborn) {
			text = "a layer is being written, and since when is not known"
		}
		return age{verdict: Held, text: text}
	case !h.Online && h.Owner == nil:
		return age{verdict: Orphan, text: "no daemon runs on this data root: nothing is in flight"}
	case o.Medium.Apart() && made.IsZero():
		return age{verdict: Young, text: "when it was made is not known"}
	}
	if rule == AgeMade || rule == AgeMadeBefore {
		if start, ok := h.DaemonStart(); ok && made.Before(start) {
			return age{verdict: Orphan, text: fmt.Sprintf("made %s, before the daemon started %s", clock(made), clock(start))}
		}
		if rule == AgeMadeBefore {
			return age{verdict: Young, text: fmt.Sprintf("made %s, while the daemon runs", clock(made))}
		}
	}
	if o.Medium.Apart() {
		return p.madeLongAgo(h, rule, o)
	}
	if rule == AgeRecords {
		newest := o.Stamp.Change
		if recorded := o.Note().Recorded; recorded != nil && recorded.After(newest) {
			newest = *recorded
		}
		return p.rested(h, newest)
	}
	if o.Usage == nil {
		return age{verdict: Young, text: "its newest change is not known", unwalked: true}
	}
	return p.unchanged(h, o)
}

// madeLongAgo asks whether an object that lies apart was made the grace ago.
// When it was last written is not told by any file: what is judged by that
// stays as long as the daemon runs. Of others it is enough: who writes a layer
// has it mounted and a write-set open.
func (p Policy) madeLongAgo(h *Host, rule AgeRule, o *Object) age {
	made := o.Made()
	switch {
	case rule == AgeLastChange:
		return age{verdict: Young, text: fmt.Sprintf("when a %s was last written cannot be told while the daemon runs", o.Medium)}
	case p.Now.Sub(made)-h.lost() < p.Grace:
		return age{verdict: Young, text: fmt.Sprintf("made %s, less than %s ago", clock(made), span(p.Grace))}
	}
	return age{verdict: Orphan, text: fmt.Sprintf("made %s, longer than %s ago", clock(made), span(p.Grace))}
}

// unchanged asks whether an object rested for the grace, not counting time in
// which nothing could have changed it.
func (p Policy) unchanged(h *Host, o *Object) age {
	newest := o.Usage.Newest
	if o.Stamp.Change.After(newest) {
		newest = o.Stamp.Change
	}
	if made := o.Made(); made.After(newest) {
		newest = made // a copy that has the times of its origin
	}
	if !newest.After(p.Now) && !o.Usage.Complete {
		return age{verdict: Young, text: "its newest change is not known: " + o.Usage.Problem}
	}
	return p.rested(h, newest)
}

// rested asks whether the grace has passed since a thing's newest change.
func (p Policy) rested(h *Host, newest time.Time) age {
	if newest.After(p.Now) {
		return age{verdict: Young, text: "a time below it lies in the future"}
	}
	if rest := p.Now.Sub(newest) - h.lost(); rest < p.Grace {
		text := fmt.Sprintf("changed %s, less than %s ago", clock(newest), span(p.Grace))
		if p.Now.Sub(newest) >= p.Grace {
			text += " without " + span(h.lost().Round(time.Second)) + " for which the machine slept or its clock was set forward"
		}
		return age{verdict: Young, text: text}
	}
	return age{verdict: Orphan, text: fmt.Sprintf("unchanged since %s, longer than %s", clock(newest), span(p.Grace))}
}

// DaemonStart is the earlier of the daemon's two start times: by the
// process's clock and by the file system's. Each alone is wrong when the
// clock was stepped in one direction; what is older than both is older.
func (h *Host) DaemonStart() (time.Time, bool) {
	if h.Owner == nil || h.TmpMade.IsZero() {
		return time.Time{}, false
	}
	if h.TmpMade.Before(h.Owner.Started) {
		return h.TmpMade, true
	}
	return h.Owner.Started, true
}

// lost is how much of the time since the daemon started did not pass for it:
// the machine slept, or somebody set its clock forward. The daemon's start as
// the process table tells it moves along with the wall clock; the birth of
// <root>/tmp, moments later, does not. That also tells of a virtual machine that
// stood still, which its kernel does not count as sleep.
func (h *Host) lost() time.Duration {
	lost := h.Suspended
	if h.Owner != nil && !h.TmpMade.IsZero() {
		lost += max(0, h.Owner.Started.Sub(h.TmpMade))
	}
	return lost
}

// span writes a duration without its trailing zeros: "24h", not "24h0m0s".
func span(d time.Duration) string {
	text := d.String()
	if d%time.Minute == 0 && d != 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if d%time.Hour == 0 && d != 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
