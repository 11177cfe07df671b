package prune

// Restorable says why a thing in quarantine could not be brought back now, or
// nil if nothing stands in the way.
func (r *Runner) Restorable(h Held) error { return r.restorable(h) }
