package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/docker/cli/cli"
	"gotest.tools/v3/assert"
)

type hinted struct{ error }

func (hinted) Hint() string { return "try\x1b[2J again" }

func TestExit(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"nothing":               {nil, 0, ""},
		"an error":              {errors.New("root: is gone"), 1, "root: is gone\n"},
		"a status":              {silentExit(exitUnsure), 3, ""},
		"wrapped status":        {fmt.Errorf("x: %w", silentExit(exitFound)), 2, ""},
		"wrong usage":           {usageError("bad %s", "flag"), 125, "bad flag\n"},
		"the CLI's own":         {cli.StatusError{Status: "no\n\nUsage:  x", StatusCode: 125}, 125, "no\n\nUsage:  x\n"},
		"status 0 is an error":  {cli.StatusError{Status: "no"}, 1, "no\n"},
		"interrupted":           {fmt.Errorf("daemon: %w", context.Canceled), 130, "\n"},
		"a hint":                {hinted{errors.New("no")}, 1, "no\nhint: try\\x1b[2J again\n"},
		"hints of joined, once": {errors.Join(hinted{errors.New("a")}, fmt.Errorf("c: %w", hinted{errors.New("b")})), 1, "a\nc: b\nhint: try\\x1b[2J again\n"},
		"hostile name":          {errors.New("bad\x1b[31m"), 1, "bad\\x1b[31m\n"},
		"a name of two lines":   {fmt.Errorf("no such object: %s", "x\nhint: y"), 1, "no such object: x\\nhint: y\n"},
		"such a name, wrapped":  {fmt.Errorf("x\nhint: y: %w", errors.New("no")), 1, "x\\nhint: y: no\n"},
		"such a name, usage":    {usageError("x\nhint: y"), 125, "x\\nhint: y\n"},
		"joined below a name":   {fmt.Errorf("all: %w", errors.Join(errors.New("a\nb"), errors.New("c"))), 1, "all: a\\nb\nc\n"},
		"several in a sentence": {fmt.Errorf("%w beside %w", errors.New("a\nb"), errors.New("c")), 1, "a\\nb beside c\n"},
		"the same twice":        {errors.Join(errors.New("a"), errors.New("a")), 1, "a\n"},

		"a status and an error":   {errors.Join(silentExit(exitPartly), errors.New("close: no")), 4, "close: no\n"},
		"a result and an error":   {errors.Join(silentExit(exitFound), errors.New("close: no")), 1, "close: no\n"},
		"Ctrl-C and an error":     {errors.Join(context.Canceled, hinted{errors.New("no such object: x")}), 130, "\nno such object: x\nhint: try\\x1b[2J again\n"},
		"Ctrl-C at the question":  {errors.Join(silentExit(exitInterrupted), errors.New("no such object: x")), 130, "no such object: x\n"},
		"Ctrl-C in joined joined": {errors.Join(errors.Join(context.Canceled), nil), 130, "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var w bytes.Buffer
			assert.Equal(t, exit(&w, tc.err), tc.status)
			assert.Equal(t, w.String(), tc.says)
		})
	}
}

func TestEveryCommandListsItsExitStatuses(t *testing.T) {
	root := newRootCommand(newCLI(t, nil), name)
	for _, cmd := range append(root.Commands(), root) {
		assert.Check(t, strings.Contains(cmd.Long, "Exit Status:\n  0 "), "%s: %s", cmd.Name(), cmd.Long)
		assert.Check(t, strings.Contains(cmd.Long, "125"), cmd.Name())
	}
}

func TestExitMeaningsAreDistinct(t *testing.T) {
	seen := map[int]bool{}
	for _, row := range exitMeanings {
		assert.Check(t, !seen[row.status], "%d twice", row.status)
		seen[row.status] = true
		assert.Check(t, strings.Contains(exitHelp(row.status), row.meaning))
	}
}
