//go:build e2e && linux

package e2e

import "testing"

// A scenario is one way in which storage leaks, or looks as if it did.
type scenario struct {
	name   string
	places []place // where it can happen
	// leak breaks a furnished daemon, leaves it running, and says what
	// the program must say of everything that nothing live needs.
	leak func(t *testing.T, h *host) []want
}

// scenarios are all of them; one intent each.
var scenarios = []scenario{
	{"nothing leaked", everywhere, nothingLeaked},
	{"kill in import", everywhere, killInImport},
	{"kill in load", everywhere, killInLoad},
	{"kill in pull", everywhere, killInPull},
	{"kill in rmi", everywhere, killInRemove},
	{"failed create", everywhere, failedCreate},
	{"stray link", links, strayLink},
	{"leftovers", engines, leftovers},
	{"lost container", everywhere, lostContainer},
	{"lost container and record", everywhere, lostContainerAndRecord},
	{"lost record of a container", everywhere, lostRecord},
	{"lost config of an untagged image", everywhere, lostUntagged},
	{"lost config of a tagged image", everywhere, lostTagged},
	{"lost image store", everywhere, lostImageStore},
	{"duplicate of a build", everywhere, duplicateBuild},
	{"held", everywhere, held},
	{"import under way", everywhere, importUnderWay},
	{"pull under way", everywhere, pullUnderWay},
	{"create under way", everywhere, createUnderWay},
	{"build under way", everywhere, buildUnderWay},
	{"image mounts", newest, imageMounts},
	{"bind below the root", engines, bindBelowRoot},
	{"container of another driver", engines, otherDriver},
	{"two containers of one name", engines, sameName},
	{"live restore", engines, liveRestore},
	{"lost databases", engines, lostDatabases},
	{"system prune", everywhere, systemPrune},
}

// A place is an engine with one of its storage drivers.
type place struct{ engine, driver string }

// TestScenarios gives each scenario a daemon of its own in each place, with
// the same live things in it, and asserts the same of all: the program lists
// what leaked and nothing else, and nothing that lives is harmed.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		at(t, s.places, s.name, func(t *testing.T, h *host) {
			wants := s.leak(t, h)
			h.assertFindings(t, wants)
			h.assertPruned(t, wants)
		})
	}
}

// at runs a test side by side with a furnished daemon in each of the places
// whose engine is installed.
func at(t *testing.T, places []place, name string, test func(*testing.T, *host)) {
	for _, p := range places {
		if _, ok := suite.engines[p.engine]; !ok {
			continue
		}
		t.Run(name+"/"+p.engine+"/"+p.driver, func(t *testing.T) {
			t.Parallel()
			test(t, newHost(t, p))
		})
	}
}

// nothingLeaked is the scenario that all others start from.
func nothingLeaked(*testing.T, *host) []want { return nil }
