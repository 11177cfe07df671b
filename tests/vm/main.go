// Command vm runs scenarios of the tests that need a kernel which the machine
// does not have: it boots Debian's own in a virtual machine (qemu, which needs
// no help of the processor) and plays them there with a real dockerd on
// devicemapper and on zfs.
//
// The machine sees the files of this one, which it cannot change, and has an
// empty disk for what the tests make. Nothing of this machine's devices, network
// or processes is in it, and nothing of it is left when it ends but the kernel
// and zfs, in the user's cache.
//
// It needs Debian, root and Go; what else is missing it installs from the
// distribution's packages. The kernel and zfs are installed into a directory of
// their own, zfs from the archive's contrib: this machine's list of packages, and
// what it has of them, stays as it is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options say what is run.
type options struct {
	tests   string        // of tests/e2e, as go test -run has them
	timeout time.Duration // of all of them
}

func main() {
	var o options
	flag.StringVar(&o.tests, "run", "^Test(Devicemapper|ZFS)", "the tests of tests/e2e that are run")
	flag.DurationVar(&o.timeout, "timeout", time.Hour, "how long they may take")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Stdout, o)
	switch {
	case err == nil:
	case errors.Is(ctx.Err(), context.Canceled):
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1)
	}
}
