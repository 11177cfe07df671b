package plugin

import (
	"math"
	"runtime"
	"runtime/debug"
)

const (
	// freeMemory is what the program takes before it collects garbage.
	freeMemory = 96 << 20
	// sparePercent is how much garbage it keeps after that, in proportion to
	// what is in use.
	sparePercent = 6
)

// collectLate sets the garbage collector up for a scan: one burst of small
// allocations, most of which stay to its end. Collecting them early only takes
// time. From the first collection on, a large host's, memory matters more.
func collectLate() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(freeMemory)
	runtime.AddCleanup(new([64]byte), func(struct{}) {
		debug.SetGCPercent(sparePercent)
		debug.SetMemoryLimit(math.MaxInt64)
	}, struct{}{})
}
