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
