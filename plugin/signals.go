package plugin

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruptible returns a context that ends with the first Ctrl-C, SIGTERM or
// hang-up. A second Ctrl-C or SIGTERM ends the process as if nothing caught it;
// a second hang-up does nothing, for a terminal that goes away sends more than
// one and nobody is impatient.
func interruptible(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, cancel)
	if !signal.Ignored(syscall.SIGHUP) { // else it is of nohup, and stays ignored
		hangups := make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		go func() {
			<-hangups
			cancel()
		}()
	}
	return ctx, cancel
}
