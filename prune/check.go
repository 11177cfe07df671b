package prune

import "context"

// Restorable says why a thing in quarantine could not be brought back now, or
// nil if nothing stands in the way.
func (r *Runner) Restorable(ctx context.Context, h Held, as string) error {
	return r.restorable(ctx, h, as)
}
