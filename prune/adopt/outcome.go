package adopt

import "fmt"

// An Outcome is what became of an adoption. The zero value says that nothing
// was asked of the daemon.
type Outcome uint8

// The outcomes.
const (
	Refused       Outcome = iota // what is on disk is not what was planned: nothing was asked of the daemon
	Removed                      // the daemon deleted every chain that was to fall
	AlreadyGone                  // somebody removed the image that adopted the chain, and so released it
	KeptByDaemon                 // the daemon counts a reference to some of it: a pull, a build, a mount
	MoreThanAsked                // the daemon deleted chains that were not to fall: what else counted them is gone
	PartlyUnknown                // the daemon does not know some layer above the base
	AfterRestart                 // the daemon knows none of it: the records were made after it started
	Taken                        // somebody uses the image that adopted the chain
	Disagrees                    // the daemon has another layer for the chain than the disk says
	DriverFailed                 // the storage driver could not delete a layer; the image is gone
	LoadFailed                   // the daemon could not take the archive, for a reason of its own
	Unclear                      // the daemon did not answer: the next run finds the image by its label
)

var outcomeNames = [...]string{
	"refused", "removed", "already gone", "kept by the daemon", "more than asked", "partly unknown", "after restart", "taken",
	"disagrees", "driver failed", "load failed", "unclear",
}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// Done reports whether the chains are gone as was planned.
func (o Outcome) Done() bool { return o == Removed || o == AlreadyGone }

// Rescan reports whether what is known of the daemon's chains may no longer
// hold: nothing more may be adopted before everything was read anew.
func (o Outcome) Rescan() bool {
	switch o {
	case MoreThanAsked, PartlyUnknown, Disagrees, DriverFailed, LoadFailed, Unclear:
		return true
	}
	return false
}

// A Result is what became of one adoption.
type Result struct {
	Outcome Outcome  `json:"outcome"`
	Image   string   `json:"image,omitempty"`  // the image that adopted the chain; "" if none was made
	Chains  []string `json:"chains,omitempty"` // what the daemon says it deleted, "sha256:<hex>", sorted
	Reason  string   `json:"reason"`           // what happened, in a sentence for a person
}

// MarshalText writes the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) {
	if int(o) >= len(outcomeNames) {
		return nil, fmt.Errorf("outcome %d: unknown", uint8(o))
	}
	return []byte(outcomeNames[o]), nil
}

// UnmarshalText reads what [Outcome.MarshalText] wrote.
func (o *Outcome) UnmarshalText(text []byte) error {
	for i, name := range outcomeNames {
		if name == string(text) {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("outcome %q: unknown", string(text))
}
