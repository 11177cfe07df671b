package usage

import (
	"context"
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// A hook is a context that does something at one of the moments at which the
// walk looks whether it is cancelled: between any two of its steps.
type hook struct {
	context.Context
	calls int
	at    int
	do    func()
}

func (h *hook) Err() error {
	if h.calls++; h.calls == h.at {
		h.do()
	}
	return h.Context.Err()
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	assert.NilError(t, err)
	return len(entries)
}

// TestCancelled cancels a walk at every moment of it.
func TestCancelled(t *testing.T) {
	root := t.TempDir()
	mkdir(t, root, "t", strings.Repeat("d/", window+8))
	for _, m := range modes {
		w, fd := open(t, root, m.calls, 1)
		before := openFiles(t)
		for at, over := 1, false; !over; at++ {
			ctx, cancel := context.WithCancel(context.Background())
			h := &hook{Context: ctx, at: at, do: cancel}
			u, err := w.Walk(h, fd, nil, "t")
			if over = h.calls < at; over {
				assert.NilError(t, err)
				assert.Equal(t, u.Inodes, int64(window+9))
			} else {
				assert.ErrorIs(t, err, context.Canceled)
			}
			assert.Equal(t, openFiles(t), before)
			cancel()
		}
	}
}
