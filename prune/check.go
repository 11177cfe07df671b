package prune

import "context"

// Restorable says why a thing in quarantine could not be brought back now, once
// others have come back, or nil if nothing stands in the way.
func (r *Runner) Restorable(ctx context.Context, h Held, as string, with ...Held) error {
	return r.restorable(ctx, h, as, with)
}
