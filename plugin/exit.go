package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/spf13/cobra"

	"github.com/docker-orphans/docker-orphans/scan"
)

// The exit statuses of all commands.
const (
	exitDone        = 0
	exitError       = 1
	exitFound       = 2
	exitUnsure      = 3
	exitPartly      = 4
	exitBusy        = 75 // EX_TEMPFAIL: try again
	exitUsage       = 125
	exitInterrupted = 130 // 128 + SIGINT
)

// exitMeanings is the table that each command's help is made from.
var exitMeanings = []struct {
	status  int
	meaning string
}{
	{exitDone, "done, or nothing to do"},
	{exitError, "an error, also if the output cannot be written"},
	{exitFound, "with --exit-code: orphans were found"},
	{exitUnsure, "with --exit-code: no orphan, but something could not be judged"},
	{exitPartly, "done in part: the messages say what was left"},
	{exitBusy, "another run is going on"},
	{exitUsage, "wrong usage: an unknown command, flag, filter or template"},
	{exitInterrupted, "interrupted"},
}

// exitHelp is the part of a command's help that lists what it exits with.
func exitHelp(statuses ...int) string { return exitHelpOf(nil, statuses...) }

// exitHelpOf is exitHelp of a command of which some statuses mean something else.
func exitHelpOf(own map[int]string, statuses ...int) string {
	var b strings.Builder
	b.WriteString("\n\nExit Status:\n")
	for _, row := range exitMeanings {
		if slices.Contains(statuses, row.status) {
			fmt.Fprintf(&b, "  %-4d %s\n", row.status, cmp.Or(own[row.status], row.meaning))
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// A silentExit ends the program with a status and no message: what there is
// to say was printed as the command's result.
type silentExit int

func (s silentExit) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// A hinter is an error that knows what a person can do about it.
type hinter interface{ Hint() string }

// exit turns what a command returned into the program's last words and its
// exit status.
func exit(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	var end ending
	end.add(err)
	if end.interrupted && end.silent == 0 {
		_, _ = fmt.Fprintln(w)
	}
	for _, line := range end.lines() {
		_, _ = fmt.Fprintln(w, line)
	}
	for _, hint := range hints(errors.Join(end.others...)) {
		_, _ = fmt.Fprintln(w, "hint: "+scan.Printable(hint))
	}
	return end.status()
}

func isInterrupt(err error) bool { return errors.Is(err, context.Canceled) }

// hints lists what the errors joined in err suggest, each once.
func hints(err error) []string {
	var found []string
	switch e := err.(type) { //nolint:errorlint // it walks the tree itself
	case hinter:
		found = append(found, e.Hint())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			found = append(found, hints(inner)...)
		}
	case interface{ Unwrap() error }:
		found = hints(e.Unwrap())
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return slices.DeleteFunc(found, func(s string) bool { return s == "" })
}

// usage makes an argument check's errors exit as a wrong flag does.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		text := err.Error() // of several lines, some of which may name an argument
		for _, arg := range args {
			text = strings.ReplaceAll(text, arg, scan.Printable(arg))
		}
		return cli.StatusError{Status: text, StatusCode: exitUsage}
	}
}

// usageError is an error of how a command was called that shows only when it
// runs.
func usageError(format string, args ...any) error {
	return cli.StatusError{Cause: fmt.Errorf(format, args...), StatusCode: exitUsage}
}
