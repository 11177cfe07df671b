//go:build e2e && linux

package e2e

import "testing"

// A scenario is one way in which storage leaks, or looks as if it did.
type scenario struct {
	name    string
	drivers []string // the storage drivers on which it can happen
	// leak breaks a furnished daemon, leaves it running, and says what
	// the program must say of everything that nothing live needs.
	leak func(t *testing.T, h *host) []want
}

// scenarios are all of them; one intent each.
var scenarios = []scenario{
	{"nothing leaked", both, nothingLeaked},
	{"kill in import", both, killInImport},
	{"kill in load", both, killInLoad},
	{"kill in pull", both, killInPull},
	{"kill in rmi", both, killInRemove},
	{"failed create", both, failedCreate},
	{"stray link", overlay, strayLink},
	{"lost container", both, lostContainer},
	{"lost container and record", both, lostContainerAndRecord},
	{"lost record of a container", both, lostRecord},
	{"lost config of an untagged image", both, lostUntagged},
	{"lost config of a tagged image", both, lostTagged},
	{"lost image store", both, lostImageStore},
	{"duplicate of a build", both, duplicateBuild},
	{"held", both, held},
	{"import under way", both, importUnderWay},
	{"pull under way", both, pullUnderWay},
	{"system prune", both, systemPrune},
}

var (
	both    = []string{"overlay2", "vfs"}
	overlay = []string{"overlay2"}
)

// TestScenarios gives each scenario a daemon of its own on each driver, with
// the same live things in it, and asserts the same of all: the program lists
// what leaked and nothing else, and nothing that lives is harmed.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		for _, driver := range s.drivers {
			t.Run(s.name+"/"+driver, func(t *testing.T) {
				t.Parallel()
				h := newHost(t, driver)
				wants := s.leak(t, h)
				h.assertFindings(t, wants)
				h.assertPruned(t, wants)
			})
		}
	}
}

// nothingLeaked is the scenario that all others start from.
func nothingLeaked(*testing.T, *host) []want { return nil }
