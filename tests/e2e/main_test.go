//go:build e2e && linux

// Package e2e runs the program against real daemons that were broken for
// real. See ../README.md for how to add a scenario.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/docker-orphans/docker-orphans/tests/engine"
)

// suite is what all scenarios share: programs on disk, no state.
var suite struct {
	engines map[string]engine.Engine // by name; latest only where it is installed
	program string                   // the plugin under test
	dir     string                   // where daemons make their directories
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run fails, and skips nothing, when a part is missing: a suite that was
// asked for and did not run looks like one that passed.
func run(m *testing.M) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Geteuid() != 0 {
		return 1, fmt.Errorf("needs root: it starts dockerd (sudo make test)")
	}
	if err = findEngines(ctx); err != nil {
		return 1, err
	}
	if suite.dir, err = engine.TempDir(""); err != nil {
		return 1, err
	}
	// Ends what a scenario left that failed half-way or was interrupted.
	defer func() {
		if swept := engine.Sweep(suite.dir); err == nil {
			err = swept
		}
	}()
	if suite.program = os.Getenv("DOCKER_ORPHANS_PROGRAM"); suite.program == "" {
		suite.program, err = engine.BuildPlugin(ctx, suite.dir)
	}
	if err != nil {
		return 1, err
	}
	ended := make(chan int, 1)
	go func() { ended <- m.Run() }()
	select {
	case code = <-ended:
		return code, nil
	case <-ctx.Done():
		return 130, ctx.Err()
	}
}

// findEngines sets the engines of the suite. Debian's and what its drivers
// need are installed where they are missing.
func findEngines(ctx context.Context) error {
	debian, err := engine.Debian(ctx)
	if err != nil {
		return err
	}
	if err := engine.InstallFuseOverlayfs(ctx); err != nil {
		return err
	}
	suite.engines = map[string]engine.Engine{debian.Name: debian}
	latest, err := engine.Latest(ctx)
	switch {
	case err == nil:
		suite.engines[latest.Name] = latest
	case errors.Is(err, fs.ErrNotExist):
		fmt.Fprintln(os.Stderr, "e2e: without:", err)
	default:
		return err
	}
	return nil
}
