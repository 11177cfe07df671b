package plugin

import (
	"errors"
	"slices"
	"strings"

	"github.com/docker/cli/cli"

	"github.com/docker-orphans/docker-orphans/scan"
)

// errorLines are what there is to say of an error: a line for each of those
// that are joined in it. Names in it, which come from the disk or the user, are
// escaped, so that no line of theirs looks like one of ours. Only the docker
// CLI's words on wrong usage are lines of their own.
func errorLines(err error) []string {
	if status, ok := err.(cli.StatusError); ok { //nolint:errorlint // it walks the tree itself
		if status.Status != "" || status.Cause == nil {
			return printableLines(status.Status)
		}
		return errorLines(status.Cause)
	}
	if joined := joinedErrors(err); joined != nil {
		var lines []string
		for _, inner := range joined {
			lines = append(lines, errorLines(inner)...)
		}
		return lines
	}
	text := err.Error()
	if inner := errors.Unwrap(err); inner != nil && inner.Error() != "" && strings.HasSuffix(text, inner.Error()) {
		lines := errorLines(inner)
		lines[0] = scan.Printable(strings.TrimSuffix(text, inner.Error())) + lines[0]
		return lines
	}
	return []string{scan.Printable(text)}
}

// joinedErrors are those that errors.Join made one; nil if it did not. What
// wraps several in a sentence is one error.
func joinedErrors(err error) []error {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	joined := several.Unwrap()
	if all := errors.Join(joined...); all == nil || err.Error() != all.Error() {
		return nil
	}
	return joined
}

// printableLines are the lines of a text, each escaped.
func printableLines(text string) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := range lines {
		lines[i] = scan.Printable(lines[i])
	}
	return lines
}

// An ending is what a command returned, taken apart.
type ending struct {
	silent      int // the exit status of what has no message; 0 if nothing has none
	interrupted bool
	others      []error // which there is something to say of
}

func (e *ending) add(err error) {
	var silent silentExit
	if joined := joinedErrors(err); joined != nil {
		for _, inner := range joined {
			e.add(inner)
		}
		return
	}
	switch {
	case errors.As(err, &silent):
		e.silent = max(e.silent, int(silent))
	case isInterrupt(err):
		e.interrupted = true
	default:
		e.others = append(e.others, err)
	}
}

// lines are what there is to say, each once.
func (e *ending) lines() []string {
	var lines []string
	for _, err := range e.others {
		for _, line := range errorLines(err) {
			if line == "" || !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// status is what the program exits with. What a command found is no result if
// something failed.
func (e *ending) status() int {
	var status cli.StatusError
	switch {
	case e.interrupted:
		return exitInterrupted
	case e.silent != 0 && (len(e.others) == 0 || e.silent != exitFound && e.silent != exitUnsure):
		return e.silent
	case len(e.others) == 0:
		return exitDone
	case errors.As(errors.Join(e.others...), &status) && status.StatusCode != 0:
		return status.StatusCode
	}
	return exitError
}
