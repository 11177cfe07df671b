//go:build linux && !vm

package engine

import "time"

// patience is how long anything may take before it counts as hung. It is
// generous: several daemons may share two cores.
const patience = 3 * time.Minute
