//go:build e2e && !linux

package e2e

import "testing"

// TestNotHere keeps the suite from passing where it cannot run.
func TestNotHere(t *testing.T) { t.Fatal("needs Linux and root: it starts dockerd") }
