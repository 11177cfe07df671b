//go:build linux && vm

package engine

import "time"

// patience is how long anything may take before it counts as hung, where every
// instruction is emulated.
const patience = 10 * time.Minute
