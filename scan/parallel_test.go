package scan

import (
	"context"
	"errors"
	"testing"

	"gotest.tools/v3/assert"
)

// What was read is taken in order, each once, and nothing after an error.
func TestParallel(t *testing.T) {
	const n = 10_000
	square := func(i int) int { return i * i }
	next := 0
	err := Parallel(t.Context(), n, square, func(i, got int) error {
		assert.Equal(t, i, next)
		assert.Equal(t, got, i*i)
		next++
		return nil
	})
	assert.NilError(t, err)
	assert.Equal(t, next, n)

	stop := errors.New("stop")
	last := 0
	err = Parallel(t.Context(), n, square, func(i, _ int) error {
		last = i
		if i == 100 {
			return stop
		}
		return nil
	})
	assert.ErrorIs(t, err, stop)
	assert.Equal(t, last, 100)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = Parallel(ctx, n, square, func(int, int) error { return errors.New("taken of a cancelled list") })
	assert.ErrorIs(t, err, context.Canceled)
}
