// Command demo shows what docker orphans is for, on a real daemon that is
// broken for real: it starts a private dockerd, leaks storage as reality does,
// lets Docker's own cleaning find nothing of it, and then lets docker orphans
// find it, remove it and bring back what cannot be made again. It cleans up
// behind itself, also when it is interrupted.
//
// It needs Linux, root and Go; what else is missing it installs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Stdout)
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
