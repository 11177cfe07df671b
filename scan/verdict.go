package scan

import "fmt"

// A Verdict says what references alone prove about a finding. What prune
// takes by default is a second question, answered by the [Contract].
//
// Only Orphan can ever be removed. The zero value is Unsure, so that a
// verdict that was never reached is never acted upon.
type Verdict uint8

// The verdicts, in the words that ls prints.
const (
	Unsure  Verdict = iota // a doubt covers it: some source could not be read to the end, or contradicts another
	Unknown                // its name or form is not one we recognise
	Used                   // something live names it
	Held                   // nobody owns it, but it is mounted, open, or being written
	Kept                   // a keep list, a quarantine or a restore says so
	Young                  // too new to tell a leak from work in flight
	Damaged                // a record whose data is gone
	Orphan                 // every source that could own it was read to the end and says no
)

var verdictNames = [...]string{"unsure", "unknown", "used", "held", "kept", "young", "damaged", "orphan"}

func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("verdict(%d)", uint8(v))
}

// Verdicts lists every verdict, for completion and filters.
func Verdicts() []Verdict {
	return []Verdict{Orphan, Damaged, Young, Kept, Held, Used, Unknown, Unsure}
}

// MarshalText writes the word that ls prints.
func (v Verdict) MarshalText() ([]byte, error) {
	if int(v) >= len(verdictNames) {
		return nil, fmt.Errorf("verdict %d: unknown", uint8(v))
	}
	return []byte(verdictNames[v]), nil
}

// UnmarshalText reads what [Verdict.MarshalText] wrote.
func (v *Verdict) UnmarshalText(text []byte) error {
	for i, name := range verdictNames {
		if name == string(text) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("verdict %q: unknown", text)
}

// strength orders verdicts by how firmly they forbid removal. The strongest
// verdict of a finding's parts, and of everything that needs it, wins.
func (v Verdict) strength() int {
	switch v {
	case Used:
		return 7
	case Held:
		return 6
	case Kept:
		return 5
	case Unknown:
		return 4
	case Unsure:
		return 3
	case Young:
		return 2
	case Damaged:
		return 1
	case Orphan:
		return 0
	}
	return 7
}
