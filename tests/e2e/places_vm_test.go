//go:build e2e && linux && vm

package e2e

// In the virtual machine scenarios are played on what the real one's kernel
// does not have.
var (
	everywhere = []place{{"debian", "devicemapper"}}
	newest     = []place(nil)
	engines    = []place{{"debian", "devicemapper"}}
	busy       = []place(nil)
	links      = []place(nil)
)
