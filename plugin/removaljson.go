package plugin

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/docker-orphans/docker-orphans/prune"
	"github.com/docker-orphans/docker-orphans/scan/journal"
)

// removalJSON is what prune and rm print for a machine. Names stay; a change
// of meaning changes Schema.
type removalJSON struct {
	Schema           int
	DataRoot         string
	DryRun           bool
	Run              string // "" if nothing was done
	Stopped          string // why it ended early
	Items            []removedJSON
	Expired          []string   // runs whose quarantine was, or would be, freed
	Stays            []stayJSON // in quarantine long enough, and left there
	ReclaimedBytes   int64      // freed, by count
	MeasuredBytes    int64      // what the file system has more than before
	QuarantinedBytes int64      // set aside by this run
	QuarantineUntil  *string    // RFC 3339; null if nothing was set aside
	HeldBytes        int64      // all that is in quarantine
	PinnedBytes      int64      // free after the daemon's next restart
	ByRequestBytes   *int64     // orphans that prune leaves to a person, or to the daemon; null: some were not measured
	Unsure           int        // what could not be judged
}

// stayJSON is something that stays in quarantine.
type stayJSON struct {
	Run    string
	ID     string
	Type   string
	Reason string // why: a keep list, the filters or the limits
}

// removedJSON is what became of one finding.
type removedJSON struct {
	ID      string
	Type    string
	Backend string
	Remover string // "adopt", "quarantine", "free", "marker", "link", "daemon"
	End     string // "freed", "quarantined", "skipped", …; "planned" of --dry-run
	Reason  string // why it did not go
	Bytes   int64
	Was     string
	Cause   string // why it may go
}

func (r *removal) writeJSON(a *aftermath) error {
	out := removalJSON{
		Schema: schemaVersion, DataRoot: r.plan.DataRoot, DryRun: r.options.dryRun, Items: []removedJSON{}, Expired: []string{}, Stays: []stayJSON{},
		ReclaimedBytes: a.reclaimed(), MeasuredBytes: a.measured, HeldBytes: a.held.bytes,
		PinnedBytes: a.pinned.bytes, Unsure: a.unsure,
	}
	if !a.unadded {
		out.ByRequestBytes = &a.byRequest.bytes
	}
	for _, h := range r.expired {
		if n := len(out.Expired); n == 0 || out.Expired[n-1] != h.Run.ID {
			out.Expired = append(out.Expired, h.Run.ID)
		}
	}
	for _, s := range r.stays {
		out.Stays = append(out.Stays, stayJSON{Run: s.Run.ID, ID: s.Step.Finding, Type: string(s.Step.Type), Reason: s.Why})
	}
	for _, c := range r.changed {
		out.Items = append(out.Items, newRemoved(c.Step, prune.Outcome{End: journal.Skipped, Reason: c.Why}))
	}
	for i := range r.plan.Steps {
		end := prune.Outcome{End: "planned", Bytes: prune.Bytes(&r.plan.Steps[i])}
		if a.result != nil {
			end = a.result.Outcomes[i]
		}
		out.Items = append(out.Items, newRemoved(&r.plan.Steps[i], end))
	}
	if a.result != nil {
		out.Run, out.Stopped = a.result.Run, a.result.Stopped
		if out.QuarantinedBytes = a.result.Bytes(journal.Quarantined); len(a.ended(journal.Quarantined)) > 0 {
			out.QuarantineUntil = &[]string{a.until.UTC().Format(time.RFC3339)}[0]
		}
	}
	text, err := safeJSON(json.Marshal(out))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(r.cli.Out(), string(text))
	return err
}

func newRemoved(s *prune.Step, o prune.Outcome) removedJSON {
	return removedJSON{
		ID: s.Finding, Type: string(s.Type), Backend: s.Backend, Remover: string(s.Remover), End: string(o.End), Reason: o.Reason,
		Bytes: o.Bytes, Was: s.Was, Cause: s.Cause,
	}
}
