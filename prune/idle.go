package prune

import (
	"fmt"

	"github.com/docker-orphans/docker-orphans/scan"
)

// Idle is the proof, as far as one look goes, that nobody works with a data
// root on which no daemon answers: no daemon that is starting, no container
// that outlives its own, nobody who writes there. It is nil if so.
func Idle(g *scan.Graph) error {
	if g.Host.Online || len(g.Host.InUse) == 0 {
		return nil
	}
	return inUseError{g.Host.DataRoot, g.Host.InUse}
}

// An inUseError says who works with a data root without a daemon.
type inUseError struct {
	root string
	uses []string
}

func (e inUseError) Error() string {
	text := e.root + ": is in use though no daemon answers: " + e.uses[0]
	if n := len(e.uses) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// Hint says what a person can do.
func (inUseError) Hint() string {
	return "end that process, or unmount what it left mounted; containers that run on without their daemon are stopped by it: start Docker, and stop them or prune beside it"
}
