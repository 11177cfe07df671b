//go:build linux

package engine

import (
	"testing"
	"time"
)

// TB is what the harness needs of a test. [testing.TB] has it; the demo
// brings one of its own.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

var _ TB = testing.TB(nil)

// Eventually asks until the answer is yes, and fails t when it stays no. The
// step is short because some of the moments that tests wait for are.
func Eventually(t TB, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !yes(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: did not happen within %s", what, patience)
		}
	}
}
