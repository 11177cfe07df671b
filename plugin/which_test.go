package plugin

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

// Ctrl-C does not wait for input.
func TestWhichIsInterruptedWhileItReads(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, _ := io.Pipe() // nobody ever writes
	defer func() { _ = in.Close() }()
	ended := make(chan error, 1)
	go func() { ended <- (&which{end: "\n"}).annotate(ctx, in, io.Discard) }()
	cancel()
	select {
	case err := <-ended:
		assert.ErrorIs(t, err, context.Canceled)
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for input")
	}
}

// A line that is no path does not keep those after it from being answered.
func TestWhichReadsOnAfterLongLine(t *testing.T) {
	long := strings.Repeat("x", longestLine+1)
	for name, tc := range map[string]struct{ in, out, err string }{
		"between":    {"\n" + long + "\n \n", "\n \n", "standard input: line 2: is longer than 1048576 bytes, and was left out"},
		"last":       {"\n" + long, "\n", "standard input: line 2: is longer than 1048576 bytes, and was left out"},
		"just short": {strings.Repeat(" ", longestLine-1) + "\n", strings.Repeat(" ", longestLine-1) + "\n", ""},
		"no newline": {"\n ", "\n \n", ""},
		"nothing":    {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := (&which{end: "\n"}).annotate(t.Context(), strings.NewReader(tc.in), &out)
			assert.Assert(t, out.String() == tc.out)
			if tc.err == "" {
				assert.NilError(t, err)
			} else {
				assert.Error(t, err, tc.err)
			}
		})
	}
}

// brokenInput is one that cannot be read to the end.
type brokenInput struct{ io.Reader }

func (b brokenInput) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestWhichSaysThatInputIsBroken(t *testing.T) {
	var out bytes.Buffer
	err := (&which{end: "\n"}).annotate(t.Context(), brokenInput{strings.NewReader("\n\n")}, &out)
	assert.Equal(t, out.String(), "\n\n")
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
