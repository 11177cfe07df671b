package plugin

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/go-units"

	"github.com/docker-orphans/docker-orphans/scan"
)

// schemaVersion is the version of what ls and inspect print as JSON. A new
// field does not change it; a change of meaning does.
const schemaVersion = 1

// reasonWidth is how much of a reason a table shows unless asked for all of
// it, and wasWidth how much of what a thing was.
const (
	reasonWidth = 100
	wasWidth    = 40
)

// listing says how findings are printed.
type listing struct {
	dataRoot string
	now      time.Time
	trunc    bool
	sizes    bool // false: nothing was walked for its size
}

// findingFormat chooses the format: the user's, or a table of what is worth
// a column.
func findingFormat(source string, quiet, verdicts, sizes bool) formatter.Format {
	switch {
	case quiet:
		return formatter.DefaultQuietFormat
	case source != "" && source != formatter.TableFormatKey:
		return formatter.Format(source)
	}
	columns := []string{"ID", "Type", "Backend", "Verdict", "Size", "LastChanged", "Was", "Reason"}
	columns = slices.DeleteFunc(columns, func(c string) bool {
		return c == "Verdict" && !verdicts || c == "Size" && !sizes
	})
	return formatter.Format("table {{." + strings.Join(columns, "}}\t{{.") + "}}")
}

// writeFindings prints findings through the docker CLI's formatter.
func writeFindings(ctx formatter.Context, l listing, findings []*scan.Finding) error {
	err := ctx.Write(newFindingContext(), func(format func(formatter.SubContext) error) error {
		for _, f := range findings {
			if err := format(&findingContext{f: f, l: l}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return templateError(err)
	}
	return nil
}

// A findingContext is one row: a method for each column and template field.
// Strings are escaped, for they come from the disk or the daemon.
type findingContext struct {
	formatter.HeaderContext
	f *scan.Finding
	l listing
}

func newFindingContext() *findingContext {
	c := findingContext{f: &scan.Finding{}}
	c.Header = formatter.SubHeaderContext{
		"Schema": "SCHEMA", "ID": "ID", "Type": "TYPE", "Backend": "BACKEND", "Verdict": "VERDICT",
		"Default": "DEFAULT", "Precious": "PRECIOUS", "Path": "PATH", "Paths": "PATHS",
		"Size": formatter.SizeHeader, "SizeBytes": "SIZE BYTES", "SizeComplete": "SIZE COMPLETE", "SizeAtMost": "SIZE AT MOST",
		"LastChanged": "LAST CHANGED", "ChangedAt": "CHANGED AT", "Was": "WAS",
		"Labels": formatter.LabelsHeader, "Reason": "REASON",
	}
	return &c
}

// findingJSON is one line of ls --format json. Scripts rely on these fields;
// a golden test keeps them.
type findingJSON struct {
	Schema       int               // schemaVersion
	ID           string            // whole; stable across scans
	Type         string            // "layer", "rw-layer", …: a row of the contract
	Backend      string            // "overlay2", …; "" for the daemon's own records
	Verdict      string            // "orphan", "unsure", …
	Default      bool              // prune takes it without being told
	Precious     bool              // it holds data that nobody can make again
	Path         string            // absolute; where its bytes are
	Paths        []string          // absolute; every path that belongs to it
	SizeBytes    *int64            // disk blocks, hard links once; null if not measured
	SizeComplete bool              // false: SizeBytes is a lower bound, or null
	SizeAtMost   bool              // others may have some of SizeBytes too: subvolumes of a btrfs without quota
	ChangedAt    *string           // RFC 3339, UTC; the newest change that is known
	Was          string            // what a person would call it; "" if nothing tells
	Labels       map[string]string // null: unknown, for the record that would tell is gone
	Reason       string            // the verdict in a few words
}

// MarshalJSON makes {{json .}}, and so --format json.
func (c *findingContext) MarshalJSON() ([]byte, error) {
	row := findingJSON{
		Schema: schemaVersion, ID: c.f.ID, Type: c.Type(), Backend: c.f.Backend, Verdict: c.Verdict(),
		Default: c.f.Default, Precious: c.f.Precious, Path: c.absolute(c.f.DataPath()), Paths: c.absolutes(),
		SizeBytes: c.SizeBytes(), SizeComplete: c.SizeComplete(), SizeAtMost: c.SizeAtMost(), Was: c.f.Was, Reason: c.f.Reason,
	}
	if at := c.ChangedAt(); at != "" {
		row.ChangedAt = &at
	}
	if c.f.Labels.Known {
		row.Labels = map[string]string{}
		for k, v := range c.f.Labels.Values {
			row.Labels[k] = v
		}
	}
	return safeJSON(json.Marshal(row))
}

// Schema is the version of the fields.
func (*findingContext) Schema() int { return schemaVersion }

// ID is the finding's id, short unless all of it was asked for.
func (c *findingContext) ID() string {
	if c.l.trunc {
		return scan.Printable(shortID(c.f))
	}
	return scan.Printable(c.f.ID)
}

// Type is the row of the contract that the finding stands in.
func (c *findingContext) Type() string { return string(c.f.Type) }

// Backend is the storage driver, or "-" for what belongs to none.
func (c *findingContext) Backend() string { return orDash(c.f.Backend) }

// Verdict is one word.
func (c *findingContext) Verdict() string { return c.f.Verdict.String() }

// Default says whether prune takes it without being told.
func (c *findingContext) Default() bool { return c.f.Default }

// Precious says whether it holds data that nobody can make again.
func (c *findingContext) Precious() bool { return c.f.Precious }

// Path is where the finding's bytes are.
func (c *findingContext) Path() string { return scan.Printable(c.absolute(c.f.DataPath())) }

// Paths lists every path that belongs to it.
func (c *findingContext) Paths() []string {
	paths := c.absolutes()
	for i := range paths {
		paths[i] = scan.Printable(paths[i])
	}
	return paths
}

// Size is for people: "1.2GB", ">1.2GB" if some of it could not be read,
// "<1.2GB" if others may have some of it too.
func (c *findingContext) Size() string {
	if !c.l.sizes {
		return "N/A"
	}
	return humanSize(c.f.Size())
}

// SizeBytes is nil where sizes were not asked for.
func (c *findingContext) SizeBytes() *int64 {
	if !c.l.sizes {
		return nil
	}
	return &[]int64{c.f.Size().Bytes}[0]
}

// SizeComplete is false where SizeBytes is a lower bound.
func (c *findingContext) SizeComplete() bool { return c.l.sizes && c.f.Size().Complete }

// SizeAtMost is true where others may have some of SizeBytes too: so much is
// not free once this has gone.
func (c *findingContext) SizeAtMost() bool { return c.l.sizes && c.f.Size().AtMost }

// LastChanged is for people: "5 weeks ago".
func (c *findingContext) LastChanged() string {
	changed := c.f.Changed()
	switch {
	case changed.IsZero():
		return "-"
	case changed.After(c.l.now):
		return "in the future"
	}
	return units.HumanDuration(c.l.now.Sub(changed)) + " ago"
}

// ChangedAt is the newest change that is known, or "".
func (c *findingContext) ChangedAt() string {
	if changed := c.f.Changed(); !changed.IsZero() {
		return changed.UTC().Format(time.RFC3339)
	}
	return ""
}

// Was is what a person would call it, or "-".
func (c *findingContext) Was() string {
	return c.cut(orDash(c.f.Was), wasWidth)
}

// Labels lists labels as the docker CLI does.
func (c *findingContext) Labels() string {
	var pairs []string
	for _, k := range sortedKeys(c.f.Labels.Values) {
		pairs = append(pairs, scan.Printable(k+"="+c.f.Labels.Values[k]))
	}
	return strings.Join(pairs, ",")
}

// Reason is the verdict in a few words, and why prune leaves an orphan unless
// it is told.
func (c *findingContext) Reason() string {
	reason := c.f.Reason
	if c.f.NotMine != "" {
		reason += "; not by default: " + c.f.NotMine
	}
	if c.l.trunc { // what is below the finding's own paths tells more
		for _, p := range c.f.Paths() {
			reason = strings.ReplaceAll(reason, p+"/", "")
		}
	}
	return c.cut(reason, reasonWidth)
}

func (c *findingContext) cut(s string, width int) string {
	s = scan.Printable(s)
	if c.l.trunc {
		return formatter.Ellipsis(s, width)
	}
	return s
}

func (c *findingContext) absolute(below string) string { return path.Join(c.l.dataRoot, below) }

func (c *findingContext) absolutes() []string {
	paths := c.f.Paths()
	for i := range paths {
		paths[i] = c.absolute(paths[i])
	}
	return paths
}

// humanSize prints a size as the docker CLI does.
func humanSize(u scan.Usage) string {
	size := units.HumanSize(float64(u.Bytes))
	switch {
	case !u.Complete && u.AtMost:
		return "~" + size
	case !u.Complete:
		return ">" + size
	case u.AtMost:
		return "<" + size
	}
	return size
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
