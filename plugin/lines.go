package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// longestLine is how much of a line is kept: no path is as long.
const longestLine = 1 << 20

// A line is one of an input.
type line struct {
	text string
	err  error // why it is not known
}

// readLines are the lines of an input, each of which ends with a byte, until
// there are no more or the context ends. A read cannot be called off: what
// reads is left behind then.
func readLines(ctx context.Context, in io.Reader, end byte) iter.Seq[line] {
	lines := make(chan line, 100)
	go sendLines(ctx, in, end, lines)
	return func(yield func(line) bool) {
		for {
			select {
			case l, ok := <-lines:
				if !ok || !yield(l) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func sendLines(ctx context.Context, in io.Reader, end byte, lines chan<- line) {
	defer close(lines)
	buffered := bufio.NewReader(in)
	for n := 1; ; n++ {
		text, err := readLine(buffered, end)
		if errors.Is(err, io.EOF) && text == "" {
			return
		}
		l := line{text: text}
		if err != nil && !errors.Is(err, io.EOF) {
			l = line{err: fmt.Errorf("standard input: line %d: %w", n, err)}
		}
		select {
		case lines <- l:
		case <-ctx.Done():
			return
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return
		}
	}
}

var errLongLine = fmt.Errorf("is longer than %d bytes, and was left out", longestLine)

// readLine reads up to the byte that ends a line, which is left out.
func readLine(in *bufio.Reader, end byte) (string, error) {
	var text []byte
	long := false
	for {
		part, err := in.ReadSlice(end)
		if long = long || len(text)+len(part) > longestLine; !long {
			text = append(text, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case long && (err == nil || errors.Is(err, io.EOF)):
			return "", errLongLine
		}
		return strings.TrimSuffix(string(text), string(end)), err
	}
}
