package mount

import (
	"os"
	"testing"

	"github.com/docker-orphans/docker-orphans/tests/apart"
)

// The tests make mounts that nobody can read, and look at the whole machine.
func TestMain(m *testing.M) { os.Exit(apart.M(m).Run()) }
