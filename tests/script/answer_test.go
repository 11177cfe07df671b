//go:build linux

package script

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
)

// answer STATUS FILE PATTERN KEYS COMMAND... runs a command on a terminal,
// types KEYS (Go quoting) once the screen matches PATTERN, writes what the
// terminal got to a file, and checks how the command exits.
func answer(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	pattern := regexp.MustCompile(args[2])
	keys, err := strconv.Unquote(`"` + args[3] + `"`)
	ts.Check(err)
	cmd := command(ts, args[4], args[5:]...)
	screen, err := pty.Start(cmd)
	ts.Check(err)
	var got []byte
	for buffer := make([]byte, 4096); ; {
		n, err := screen.Read(buffer)
		got = append(got, buffer[:n]...)
		if keys != "" && pattern.Match(got) {
			_, err := screen.WriteString(keys)
			ts.Check(err)
			keys = ""
		}
		if err != nil { // EIO: the other end is closed
			break
		}
	}
	err = cmd.Wait()
	ts.Check(screen.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), got, 0o600))
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) || cmd.ProcessState.ExitCode() != want {
		ts.Fatalf("answer: want exit status %d: %v\n%s", want, err, got)
	}
	if keys != "" {
		ts.Fatalf("answer: never asked %s\n%s", pattern, got)
	}
}
