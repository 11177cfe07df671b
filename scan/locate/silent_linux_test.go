package locate

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"

	"github.com/docker-orphans/docker-orphans/scan"
)

// A silentDaemon accepts every question and never answers.
type silentDaemon struct{ scan.Daemon }

func (silentDaemon) Info(ctx context.Context) (scan.DaemonInfo, error) {
	<-ctx.Done()
	return scan.DaemonInfo{}, ctx.Err()
}

// Who names a data root does so because the daemon is of no help. One that
// hangs is not waited for: not at all long where nobody uses the data root.
func TestHungDaemonIsNotWaitedFor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for name, tc := range map[string]struct {
		locked bool // somebody has the data root locked
		atMost time.Duration
		want   string // the error; "" if it is opened
	}{
		"nobody uses it": {false, patienceUnused, ""},
		"it is in use":   {true, patience, "is in use by dockerd (pid 7), and the daemon at unix:///run/docker.sock does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			root, proc := quietHost(t)
			if tc.locked {
				own(t, proc, filepath.Join(root, "volumes/metadata.db"), "7")
			}
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				in, done, err := Find(t.Context(), Options{Daemon: silentDaemon{}, Endpoint: "unix:///run/docker.sock", Proc: proc, DataRoot: root})
				assert.Assert(t, time.Since(began) <= tc.atMost)
				if tc.want != "" {
					assert.ErrorContains(t, err, tc.want)
					return
				}
				assert.NilError(t, err)
				assert.Assert(t, in.Daemon == nil)
				assert.NilError(t, done())
			})
		})
	}
}

// Whoever waits for a daemon may stop to.
func TestWaitForHungDaemonEndsWithContext(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, root := range []string{"", t.TempDir()} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := Find(ctx, Options{Daemon: silentDaemon{}, Endpoint: "unix:///run/docker.sock", Proc: "/proc", DataRoot: root})
		assert.ErrorIs(t, err, context.Canceled)
	}
}
