package prune

import (
	"fmt"
	"slices"
	"time"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Expires reports whether time alone frees it. It does not free what the user
// asked to have back, and is not back yet; nor what was to be put back and could
// not be, for nobody looked at it again once it was taken (rule 15).
func (h Held) Expires() bool {
	return h.Run.Taken(h.Step.ID) && !h.Run.Restored(h.Step.ID) && !h.Run.Until.IsZero()
}

// Expired are those of the quarantine whose time has come, and that can go as
// things are: a thin device or a dataset only while no daemon runs.
func Expired(held []Held, now time.Time, online bool) []Held {
	var due []Held
	for _, h := range held {
		if online && slices.ContainsFunc(h.Step.Objects, func(o *scan.Object) bool { return o.Medium.Apart() }) {
			continue
		}
		if h.Expires() && !now.Before(h.Run.Until) || h.Run.Purged(h.Step.ID) {
			due = append(due, h)
		}
	}
	return due
}

// A Stay is something that stays in quarantine though its time has come, or it
// was named, and why.
type Stay struct {
	Held
	Why string
}

// Within parts what may leave the quarantine into what goes and what stays, as
// why says, or because there is no budget for it; it stays too if something
// lies on it that stays, which could not come back without it. What was begun
// to be freed goes.
func Within(due []Held, why func(Held) string, budget *Budget) (goes []Held, stays []Stay) {
	type key struct {
		run  string
		step int
	}
	staying := map[key]bool{}
	for _, h := range due {
		reason := why(h)
		for _, id := range h.Step.After {
			if staying[key{h.Run.ID, id}] && reason == "" {
				reason = fmt.Sprintf("needed by %s, which stays", scan.Printable(scan.Short(h.Run.Plan.Step(id).Finding)))
			}
		}
		if reason == "" && !budget.allows(Bytes(h.Step)) {
			reason = "over the limits"
		}
		if reason == "" || h.Run.Purged(h.Step.ID) {
			goes = append(goes, h)
			budget.spend(Bytes(h.Step), true)
			continue
		}
		staying[key{h.Run.ID, h.Step.ID}] = true
		stays = append(stays, Stay{h, reason})
	}
	return goes, stays
}

// KeptBy says which entry of a keep list names what lies in quarantine, as it
// did when that was in its place; "" if none does.
func (h Held) KeptBy(list []scan.KeepEntry) string {
	for i := range list {
		e := &list[i]
		named := e.Matches([]scan.Type{h.Step.Type}, h.Step.Finding, scan.Short(h.Step.Finding))
		if named || slices.ContainsFunc(h.Step.Objects, func(o *scan.Object) bool { return e.About(o, scan.Short(o.Name)) }) {
			return e.By()
		}
	}
	return ""
}
